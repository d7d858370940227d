// The page: one WebSocket in, tiles out. Every frame is self-contained; the newest wins.
import { makeAbove } from "./above.js";
import { makeAnswer } from "./answer.js";
import { makeCamera } from "./camera.js";
import { makeDeck } from "./deck.js";
import { readFrame } from "./frames.js";
import { makeSound } from "./sound.js";
import { showProcesses, showTopics } from "./tables.js";
import { makeTimeline } from "./timeline.js";
import { figure, fill, seconds } from "./words.js";

const by = (id) => document.getElementById(id);
const tiles = new Map(); // topic -> tile
const answers = new Map(); // fusion node -> answer
const timelines = new Map(); // fusion node -> timeline
let socket = null;
let hello = null;
let state = null;
let deck = null; // of a recording
let told = { now_ms: 0, at: 0, rate: 1 }; // what the graph's clock was, and how fast it goes
let retry_ms = 250;

const now_ms = () => told.now_ms + (performance.now() - told.at) * told.rate;
const send = (question) => socket.send(JSON.stringify(question));

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live${location.search}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => take(readFrame(event.data));
  socket.onopen = () => { link("live", "live"); retry_ms = 250; };
  socket.onclose = () => {
    link("gone", !hello ? "no connection" : hello.log ? "closed" : "the graph has ended");
    setTimeout(connect, retry_ms);
    retry_ms = Math.min(retry_ms * 2, 4000);
  };
}

function link(kind, words) {
  by("link").className = `pill ${kind}`;
  by("link").textContent = words;
}

const takers = {
  hello: build,
  state: takeState,
  image: (frame) => tiles.get(frame.topic)?.take(frame),
  points: (frame) => tiles.get(frame.topic)?.take(frame),
  audio: (frame) => tiles.get(frame.topic)?.take(frame),
  result: takeResult,
  outcomes: takeOutcomes,
  overview: takeOverview,
  why: (frame) => timelines.get(frame.node)?.explain(frame),
};

function take(frame) {
  takers[frame.t]?.(frame);
}

function build(frame) {
  if (hello && hello.run === frame.run) {
    for (const timeline of timelines.values()) timeline.clear();
    return;
  }
  hello = frame;
  for (const id of ["cameras", "above", "sounds", "answers", "timelines"]) fill(by(id));
  for (const map of [tiles, answers, timelines]) map.clear();
  deck?.root.remove();
  deck = frame.log ? makeDeck(frame.log, send) : null;
  document.body.classList.toggle("recorded", Boolean(deck));
  if (deck) {
    document.body.append(deck.root);
    link("log", frame.log.name);
  }
  by("graph").textContent = frame.graph;
  document.title = `${frame.graph} · Tectum`;
  for (const [topic, kind] of Object.entries(frame.topics)) {
    if (kind === "image") place(topic, makeCamera(topic), "cameras");
    if (kind === "points") place(topic, makeAbove(topic), "above");
    if (kind === "audio") place(topic, makeSound(topic), "sounds");
  }
  for (const [node, plan] of Object.entries(frame.fusion)) {
    const answer = makeAnswer(node, plan);
    answers.set(node, answer);
    by("answers").append(answer.root);
    const ask = (life, trigger) => send({ why: node, life, trigger });
    const timeline = makeTimeline(node, plan, ask, deck && ((item) => deck.show(item)));
    timelines.set(node, timeline);
    by("timelines").append(timeline.root);
  }
  const clouds = [...tiles.values()].some((tile) => tile.isAbove);
  document.body.classList.toggle("flat", !clouds);
  const cameras = Object.values(frame.topics).filter((kind) => kind === "image").length;
  by("cameras").dataset.count = cameras;
}

function place(topic, tile, where) {
  tiles.set(topic, tile);
  by(where).append(tile.root);
}

function takeState(frame) {
  state = frame;
  told = { now_ms: frame.now_ns / 1e6, at: performance.now(), rate: frame.log ? frame.log.rate : 1 };
  if (frame.log) deck?.take(frame.log);
  showTopics(by("topics"), frame, now_ms());
  if (frame.nodes) showProcesses(by("processes"), frame.nodes);
}

function takeResult(frame) {
  const plan = hello?.fusion[frame.node];
  if (!plan) return;
  answers.get(frame.node)?.take(frame);
  const cameras = Object.values(plan.inputs).filter((topic) => hello.topics[topic] === "image");
  const clouds = Object.values(plan.inputs).filter((topic) => hello.topics[topic] === "points");
  for (const output of Object.values(frame.outputs)) {
    if (!output.values) continue;
    if (output.role === "boxes" || output.role === "objects") markCameras(output, frame.outputs.seen_by, plan, cameras);
    if (output.role === "grid" || output.role === "objects") {
      for (const topic of clouds) tiles.get(topic)?.mark(output);
    }
  }
}

// With several cameras each shows what it saw best; `seen_by` has the number of its input per row.
function markCameras(output, seen, plan, cameras) {
  if (!seen?.values) {
    tiles.get(cameras[0])?.mark(output);
    return;
  }
  seen.labels.forEach((input, number) => {
    tiles.get(plan.inputs[input])?.mark(output, (row) => seen.values[row] === number);
  });
}

// Of a recording the figures are those of all of it, wherever the playhead stands.
function takeOverview(frame) {
  deck?.overview(frame);
  const first = Object.keys(hello?.fusion ?? {})[0];
  if (frame.totals[first]) showFigures(frame.totals[first], timelines.get(first));
}

function takeOutcomes(frame) {
  timelines.get(frame.node)?.take(frame);
  const first = Object.keys(hello?.fusion ?? {})[0];
  if (frame.node === first && !deck) showFigures(frame, timelines.get(first));
}

function showFigures(frame, timeline) {
  const total = Object.values(frame.counts).reduce((sum, count) => sum + count, 0);
  const { p50, p95 } = timeline.quantiles();
  const budget = timeline.budget_ms ? ` / ${timeline.budget_ms} ms` : " ms";
  const latencies = [
    figure("latency, half within", p50 === null ? "–" : p50.toFixed(0), budget),
    figure("95 % within", p95 === null ? "–" : p95.toFixed(0), " ms"),
  ];
  fill(
    by("figures"),
    figure("on time", total ? `${((100 * frame.on_time) / total).toFixed(1)}` : "–", " %"),
    ...(deck ? [] : latencies),
    figure("complete · partial · shed", ["complete", "partial", "shed"].map((name) => frame.counts[name] ?? 0).join(" · ")),
  );
}

function tick() {
  const now = now_ms();
  if (hello && state) {
    const begin_ms = hello.epoch_ns / 1e6;
    by("elapsed").textContent = seconds(Math.max(0, now - begin_ms) / 1000);
    const alive = socket.readyState === WebSocket.OPEN;
    for (const [topic, tile] of tiles) {
      const vitals = state.topics[topic];
      if (vitals && alive) tile.live(vitals, now);
      tile.draw();
    }
  }
  requestAnimationFrame(tick);
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  window.dispatchEvent(new Event("themed"));
}

const wanted = new URLSearchParams(location.search).get("theme") ?? localStorage.getItem("theme");
theme(wanted ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
by("theme").onclick = () => {
  const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", name);
  theme(name);
};
connect();
requestAnimationFrame(tick);
