// What was fused: each output by its role, what each input gave, how much each contributed.
import { PALETTE, PHASES, age, fill, make, spaced } from "./words.js";

const MOST_BARS = 8;

export function makeAnswer(node, plan) {
  const number = make("span", { class: "n" });
  const body = make("div");
  const root = make("article", { class: "card answer", "data-node": node }, make("h2", {}, node, number), body);
  fill(body, make("p", { class: "said soft" }, "no answer yet"));
  return {
    root,
    take(frame) {
      number.textContent = `#${frame.trigger} \u00a0·\u00a0 ${frame.latency_ms.toFixed(0)} ms after its capture`;
      const outputs = Object.entries(frame.outputs).filter(([, output]) => output.values);
      const single = outputs.filter(([, output]) => output.values.length === 1 && output.role === "tensor");
      const parts = outputs.filter((output) => !single.includes(output)).flatMap(([name, output]) => rows(name, output));
      fill(body, ...parts, facts(single), chips(frame.inputs, plan), ...shares(frame.facts?.contribution, plan), spent(frame, plan));
    },
  };
}

function rows(name, output) {
  const { role, values, labels = [] } = output;
  if (role === "probability" && values.length === 1) return [bar(labels[0] ?? spaced(name), values[0], 1)];
  if (role === "scores") {
    const best = [...values].map((value, index) => [labels[index] ?? `${name} ${index}`, value]);
    const whole = Math.max(1, ...values);
    return best.sort((one, other) => other[1] - one[1]).slice(0, MOST_BARS).map(([label, value]) => bar(label, value, whole));
  }
  return [make("p", { class: "said" }, make("span", { class: "soft" }, `${spaced(name)}  `), words(name, output))];
}

// Single numbers, side by side.
function facts(single) {
  const items = single.map(([name, { values: [value], unit }]) => {
    const text = !Number.isFinite(value) ? "–" : Number.isInteger(value) ? String(value) : value.toFixed(1);
    return make("div", {}, make("b", {}, text, make("i", {}, Number.isFinite(value) && unit ? ` ${unit}` : "")), make("small", {}, spaced(name)));
  });
  return make("div", { class: "facts" }, ...items);
}

function bar(label, value, whole) {
  const share = Number.isFinite(value) ? Math.max(0, Math.min(1, value / whole)) : 0;
  const fillIt = make("i", { class: share >= 0.5 ? "high" : "", style: { width: `${100 * share}%` } });
  const text = Number.isFinite(value) ? `${(100 * value).toFixed(0)} %` : "?";
  return make("div", { class: "row" }, make("span", {}, label), make("div", { class: "bar" }, fillIt), make("b", {}, text));
}

function words(name, output) {
  const { role, values, shape } = output;
  if (role === "grid") return gridWords(output);
  if (role === "label") return output.labels?.[values[0]] ?? String(values[0]);
  if (role === "objects" || role === "boxes") {
    const counts = new Map();
    for (let row = 0; row < shape[0]; row++) {
      const label = output.labels?.[Math.round(values[row * shape[1] + 5])] ?? "object";
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    return [...counts].map(([label, count]) => (count > 1 ? `${count} × ${label}` : label)).join(", ") || "nothing";
  }
  if (output.columns?.includes("track")) return `${shape[0]} followed`;
  return `${shape.join(" × ")} numbers`;
}

function gridWords({ values, shape, grid, threshold = 0.5 }) {
  const columns = shape.at(-1);
  const likely = [...values.keys()].filter((index) => values[index] >= threshold);
  if (!likely.length) return "nothing in the way";
  const cells = `${likely.length} cell${likely.length > 1 ? "s" : ""} taken`;
  return grid ? `${cells}, nearest ${(grid.x_min_m + Math.floor(likely[0] / columns) * grid.cell_m).toFixed(0)}\u00a0m\u00a0ahead` : cells;
}

function chips(inputs, plan) {
  const items = Object.entries(inputs).map(([name, input]) => {
    const detail = input.status === "missing" ? spaced(input.reason) : `${age(input.age_ms)} old${input.status === "cached" ? ", kept" : ""}`;
    const title = name === plan.trigger ? `${name}, trigger` : name;
    return make("div", { class: `chip ${input.status}` }, title, make("small", {}, detail));
  });
  return make("div", { class: "chips" }, ...items);
}

// Where the time went, on a scale that ends with the budget.
function spent({ phases_ms, latency_ms }, plan) {
  const phases = PHASES.filter((name) => phases_ms[name] !== undefined);
  const whole = Math.max(plan.budget_ms || latency_ms, latency_ms, 0.1);
  const bars = phases.map((name) => make("i", { style: { width: `${(100 * phases_ms[name]) / whole}%`, background: `var(--${name})` } }));
  const keys = phases.map((name) => make("span", { class: "key", style: { "--c": `var(--${name})` } }, `${name} ${phases_ms[name].toFixed(1)}`));
  const title = `${latency_ms.toFixed(1)} ms${plan.budget_ms ? ` of the budget of ${plan.budget_ms} ms` : " from capture to answer"}`;
  return make("div", { class: "share spent" }, make("div", { class: "soft" }, title), make("div", { class: "bar" }, ...bars), make("div", { class: "keys" }, ...keys));
}

// One bar for each output: each input's part of all that changes when one is left out.
function shares(contribution, plan) {
  const names = Object.keys(plan.inputs);
  return Object.entries(contribution ?? {}).flatMap(([output, parts]) => {
    const whole = Object.values(parts).reduce((sum, part) => sum + part, 0);
    if (!(whole > 0)) return [];
    const hue = (name) => PALETTE[Math.max(0, names.indexOf(name)) % PALETTE.length];
    const bars = Object.entries(parts).map(([name, part]) => make("i", { style: { width: `${(100 * part) / whole}%`, background: hue(name) } }));
    const keys = Object.entries(parts).map(([name, part]) => make("span", { class: "key", style: { "--c": hue(name) } }, `${name} ${((100 * part) / whole).toFixed(0)} %`));
    const title = make("div", { class: "soft" }, `what ${spaced(output)} rests on`);
    return [make("div", { class: "share" }, title, make("div", { class: "bar" }, ...bars), make("div", { class: "keys" }, ...keys))];
  });
}
