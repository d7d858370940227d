// The deck of a recording: play, pause, seek, what all its triggers came to, the next trouble.
import { colour, make, moment, seconds } from "./words.js";

const RATES = [0.25, 0.5, 1, 2, 4];
const OUTCOMES = ["complete", "partial", "shed"];

export function makeDeck(log, send) {
  const length_ms = Math.max(1, (log.end_ns - log.begin_ns) / 1e6);
  const play = make("button", { type: "button", class: "round", "aria-label": "Play" });
  const trouble = make("button", { type: "button", class: "plain", title: "The next trigger that was not complete (n)" }, "next trouble");
  const strip = make("canvas", { class: "strip", "aria-hidden": "true" });
  const slider = make("input", { type: "range", min: "0", max: String(length_ms), step: "1", value: "0", "aria-label": "Time in the recording" });
  const time = make("div", { class: "time" }, make("b", {}, "00:00"), make("span", {}));
  const rate = make("select", { "aria-label": "Speed" }, ...RATES.map((value) => make("option", { value: String(value), ...(value === 1 ? { selected: "" } : {}) }, `${value} ×`)));
  const root = make("footer", { class: "deck", "aria-label": "Recording" }, play, time, make("div", { class: "track" }, strip, slider), trouble, rate);
  let at_ms = 0, playing = 0, overview = null, dragging = false, waiting = null;

  function take(state) {
    playing = state.rate;
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    root.dataset.playing = String(Boolean(playing));
    at_ms = (state.at_ns - log.begin_ns) / 1e6;
    if (!dragging) slider.value = String(at_ms);
    tell(dragging ? Number(slider.value) : at_ms);
  }

  function tell(ms) {
    time.firstChild.textContent = clock(ms);
    time.lastChild.textContent = `of ${clock(length_ms)} · ${moment(log.begin_ns + ms * 1e6).slice(0, 8)} UTC`;
    slider.style.setProperty("--at", `${(100 * ms) / length_ms}%`);
  }

  function toggle() {
    send({ rate: playing ? 0 : Number(rate.value) });
  }

  // Seek at most ten times a second while the slider is dragged; the last place counts.
  function seek(ms) {
    at_ms = Math.max(0, Math.min(length_ms, ms));
    slider.value = String(at_ms);
    tell(at_ms);
    if (waiting) return;
    send({ seek: Math.round(log.begin_ns + at_ms * 1e6) });
    const sent = at_ms;
    waiting = setTimeout(() => { waiting = null; if (at_ms !== sent && dragging) seek(at_ms); }, 100);
  }

  function nextTrouble() {
    const next = overview?.troubles_ms.find((ms) => ms > at_ms + 1);
    if (next === undefined) return;
    send({ rate: 0 });
    send({ seek: Math.round(log.begin_ns + next * 1e6) });
  }

  function draw() {
    const width = strip.clientWidth, height = strip.clientHeight;
    if (!overview || !width) return;
    strip.width = width * devicePixelRatio;
    strip.height = height * devicePixelRatio;
    const ink = strip.getContext("2d");
    const step = strip.width / overview.counts.length;
    filled(overview.counts).forEach((counts, index) => {
      const whole = counts.reduce((sum, count) => sum + count, 0);
      let top = 0;
      for (const [place, name] of [...OUTCOMES.entries()].reverse()) {
        const part = whole ? (counts[place] / whole) * strip.height : 0;
        ink.fillStyle = colour(name);
        ink.fillRect(index * step, top, Math.ceil(step), part);
        top += part;
      }
    });
  }

  play.onclick = toggle;
  trouble.onclick = nextTrouble;
  rate.onchange = () => { if (playing) send({ rate: Number(rate.value) }); };
  slider.oninput = () => { dragging = true; seek(Number(slider.value)); };
  slider.onchange = () => { dragging = false; clearTimeout(waiting); waiting = null; seek(Number(slider.value)); };
  window.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const step_ms = event.shiftKey ? 10000 : 1000;
    if (event.key === " " && event.target.tagName !== "BUTTON") toggle();
    else if (event.key === "ArrowLeft") seek(at_ms - step_ms);
    else if (event.key === "ArrowRight") seek(at_ms + step_ms);
    else if (event.key === "n") nextTrouble();
    else return;
    event.preventDefault();
  });
  window.addEventListener("themed", draw);
  new ResizeObserver(draw).observe(strip);
  return {
    root, take,
    overview(frame) { overview = frame; root.dataset.done = String(frame.done); draw(); },
    // Show the moment at which something with this stamp was answered.
    show(item) { send({ rate: 0 }); send({ seek: item.stamp_ns + Math.round(Math.max(0, item.age_ms) * 1e6) }); },
  };
}

// Bins narrower than the time between two triggers may be empty: they look like the one before.
function filled(bins) {
  const taken = [...bins.keys()].filter((index) => bins[index].some(Boolean));
  const shown = [...bins];
  for (const [place, index] of taken.entries()) {
    const next = taken[place + 1];
    if (next - index <= 12) shown.fill(bins[index], index, next);
  }
  return shown;
}

function clock(ms) {
  return `${seconds(ms / 1000)}.${Math.floor((ms % 1000) / 100)}`;
}
