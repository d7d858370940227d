// Small helpers: elements, numbers as people read them, colours of the theme.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name.startsWith("on")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children);
}

export function figure(name, number, unit = "") {
  return make("div", {}, make("dt", {}, name), make("dd", {}, number, make("small", {}, unit)));
}

export function seconds(value) {
  const whole = Math.floor(value);
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${two(minutes)}:${two(whole % 60)}` : `${two(minutes)}:${two(whole % 60)}`;
}

export function age(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms / 10) * 10)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : seconds(ms / 1000);
}

export function moment(stamp_ns) {
  return `${new Date(stamp_ns / 1e6).toISOString().slice(11, 23)} UTC`;
}

export function spaced(code) {
  return code.replaceAll("_", " ");
}

const known = new Map();
window.addEventListener("themed", () => known.clear());

export function colour(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return known.get(name);
}

// Of a result, in their order; each has a colour of the theme.
export const PHASES = ["receive", "wait", "encode", "fuse", "deliver"];

export const PALETTE = ["#4c8dff", "#f5b53d", "#a78bfa", "#34c58a", "#f472b6", "#22d3ee"];

// Keeps labels off each other: `free` is true once for a place, and the place is taken then.
export class Room {
  #taken = [];
  free(x, y, width, height) {
    const apart = this.#taken.every((other) => x >= other.x + other.width || other.x >= x + width || y >= other.y + other.height || other.y >= y + height);
    if (apart) this.#taken.push({ x, y, width, height });
    return apart;
  }
}
