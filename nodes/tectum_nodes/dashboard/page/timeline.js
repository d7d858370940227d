// Outcomes over time: a bar per trigger, its phases stacked against the budget; click one: why.
import { PHASES, fill, make, moment, spaced } from "./words.js";

const KEPT = 600, BAR_PX = 10;

export function makeTimeline(node, plan, ask, show) {
  const bars = make("div", { class: "bars" });
  const limit = make("div", { class: "limit" });
  const why = make("div", { class: "why", "aria-live": "polite" }, make("p", { class: "hint" }, "Click an outcome to read what it came to, and why."));
  const medians = new Map(PHASES.map((name) => [name, make("b")]));
  const legend = make("div", { class: "legend", title: "what half of the latest triggers took in this phase, at most" }, ...PHASES.map((name) => make("span", { class: "key", style: { "--c": `var(--${name})` } }, name, " ", medians.get(name))));
  const plot = make("div", { class: "plot" }, limit, bars);
  const root = make("article", { class: "card timeline", "data-node": node }, make("h2", {}, `Outcomes of ${node}`, legend), plot, why);
  const items = new Map(); // "life/trigger" -> item
  const latencies = [];
  let chosen = null;
  let ceiling_ms = 0;
  let epoch = null;
  let held = false; // bars stand still under a pointer, so that they can be hit

  function take(frame) {
    if (epoch !== null && frame.epoch !== epoch) clear();
    epoch = frame.epoch;
    for (const item of frame.items) {
      const key = `${item.life}/${item.trigger}`;
      if (items.has(key)) continue;
      items.set(key, item);
      if (item.outcome !== "shed") latencies.push(item.latency_ms);
    }
    while (items.size > KEPT) items.delete(items.keys().next().value);
    latencies.splice(0, Math.max(0, latencies.length - 200));
    if (!held) draw();
  }

  function clear() {
    items.clear();
    latencies.length = 0;
    if (!held) bars.replaceChildren();
  }

  function hold(on) {
    held = on;
    plot.classList.toggle("held", on);
    if (!on) draw();
  }

  function draw() {
    const room = Math.max(10, Math.floor((plot.clientWidth || 1200) / BAR_PX));
    const shown = [...items.values()].slice(-room);
    const slowest = Math.max(...shown.map((item) => (item.outcome === "shed" ? 0 : item.latency_ms)), 1);
    const wanted = Math.max(plan.budget_ms * 1.25, Math.min(slowest * 1.1, plan.budget_ms * 2 || Infinity));
    const again = Math.abs(wanted - ceiling_ms) > ceiling_ms * 0.12;
    if (again) ceiling_ms = wanted;
    limit.style.display = plan.budget_ms ? "" : "none";
    limit.style.bottom = `calc(8px + (100% - 8px) * ${plan.budget_ms / ceiling_ms})`;
    if (limit.dataset.ms !== String(plan.budget_ms)) {
      limit.dataset.ms = plan.budget_ms;
      fill(limit, make("span", {}, `${plan.budget_ms} ms`));
    }
    tellMedians(shown.slice(-100));
    const have = new Map([...bars.children].map((bar) => [bar.dataset.key, bar]));
    const keys = new Set(shown.map((item) => `${item.life}/${item.trigger}`));
    for (const [key, bar] of have) if (again || !keys.has(key)) bar.remove();
    for (const item of shown) {
      const key = `${item.life}/${item.trigger}`;
      if (again || !have.has(key)) bars.append(makeBar(item, key));
    }
  }

  function tellMedians(latest) {
    for (const [name, element] of medians) {
      const took = latest.map((item) => item.phases_ms[name]).filter((ms) => ms !== undefined).sort((one, other) => one - other);
      element.textContent = took.length ? `${took[Math.floor((took.length - 1) / 2)].toFixed(1)} ms` : "";
    }
  }

  function makeBar(item, key) {
    const parts = item.outcome === "shed"
      ? [make("i", { class: "full" })]
      : PHASES.filter((name) => item.phases_ms[name] > 0).reverse().map((name) =>
        make("i", { style: { height: `calc((100% - 8px) * ${Math.min(1, item.phases_ms[name] / ceiling_ms)})`, background: `var(--${name})` } }));
    return make("button", {
      class: `outcome ${item.outcome}`, type: "button", "data-key": key, "aria-pressed": String(key === chosen),
      title: `#${item.trigger} ${item.outcome}${item.outcome === "complete" ? "" : `: ${spaced(item.reason)}`}`,
      onclick: () => choose(item, key),
    }, ...parts, make("u"));
  }

  function choose(item, key) {
    chosen = key;
    for (const bar of bars.children) bar.setAttribute("aria-pressed", String(bar.dataset.key === key));
    tell(item, ["…"]);
    ask(item.life, item.trigger);
  }

  function tell(item, sentences) {
    const heads = [make("span", {}, moment(item.stamp_ns)), make("span", {}, item.outcome === "shed" ? spaced(item.reason) : `${item.latency_ms.toFixed(1)} ms${plan.budget_ms ? ` of ${plan.budget_ms} ms` : ""}`)];
    const phases = PHASES.filter((name) => item.phases_ms[name] !== undefined).map((name) =>
      make("span", { class: "key", style: { "--c": `var(--${name})` } }, `${name} ${item.phases_ms[name].toFixed(1)} ms`));
    why.style.setProperty("--c", `var(--${item.outcome})`);
    fill(why, make("h3", {}, `#${item.trigger} ${item.outcome}`, ...heads), ...sentences.map((line) => make("p", {}, line.trim())), make("div", { class: "phases" }, ...phases, ...(show ? [make("button", { type: "button", class: "plain", onclick: () => show(item) }, "show this moment")] : [])));
  }

  plot.onpointerenter = () => hold(true);
  plot.onpointerleave = () => hold(false);
  new ResizeObserver(draw).observe(plot);
  return {
    root, take, budget_ms: plan.budget_ms,
    clear,
    explain(frame) {
      const item = items.get(`${frame.life}/${frame.trigger}`);
      if (item && chosen === `${frame.life}/${frame.trigger}`) tell(item, frame.text.split("\n"));
    },
    quantiles() {
      const sorted = [...latencies].sort((one, other) => one - other);
      const at = (share) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : null);
      return { p50: at(0.5), p95: at(0.95) };
    },
  };
}
