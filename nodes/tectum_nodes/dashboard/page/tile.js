// A tile: a title, a rate, a canvas, and what it says when its topic is silent.
import { age, make } from "./words.js";

export function makeTile(kind, topic, paint) {
  const number = make("span", { class: "n" });
  const silence = make("div", { class: "silence", role: "status" }, "waiting for the first message");
  const canvas = make("canvas");
  const view = make("div", { class: "view" }, canvas, silence);
  const title = make("h2", {}, make("span", { class: "dot" }), topic, number);
  const root = make("article", { class: `card tile ${kind} waiting`, "data-topic": topic }, title, view);
  let dirty = true;
  const tile = {
    root, canvas, view,
    context: canvas.getContext("2d"),
    touch() { dirty = true; },
    // Say how the topic is, now.
    live(vitals, now_ms) {
      const quiet_ms = now_ms - vitals.heard_ns / 1e6;
      root.classList.toggle("waiting", !vitals.heard_ns);
      root.classList.toggle("ended", Boolean(vitals.heard_ns && vitals.ended));
      root.classList.toggle("silent", Boolean(vitals.silent && !vitals.ended));
      if (!vitals.heard_ns) set(silence, "waiting for the first message");
      else if (vitals.ended) set(silence, "has ended");
      else if (vitals.silent) set(silence, `silent for ${(quiet_ms / 1000).toFixed(1)} s`);
      set(number, vitals.heard_ns ? `${vitals.rate_hz.toFixed(1)} Hz \u00a0·\u00a0 ${age(now_ms - vitals.stamp_ns / 1e6)} old` : "");
    },
    draw() {
      if (fit(canvas, view)) dirty = true;
      if (dirty && canvas.width && canvas.height) paint(tile);
      dirty = false;
    },
  };
  window.addEventListener("themed", () => tile.touch());
  return tile;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Give the canvas as many pixels as it has room for; true where that has changed.
function fit(canvas, view) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const width = Math.round(view.clientWidth * scale);
  const height = Math.round(view.clientHeight * scale);
  if (canvas.width === width && canvas.height === height) return false;
  canvas.width = width;
  canvas.height = height;
  return true;
}
