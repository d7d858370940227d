// Tables: topics with rates, ages and losses; processes with CPU and memory.
import { age, fill, make, spaced } from "./words.js";

export function showTopics(table, state, now_ms) {
  const rows = Object.entries(state.topics).map(([name, topic]) => {
    const mark = topic.silent ? "silent" : topic.ended ? "ended" : topic.heard_ns ? "" : "waiting";
    const words = topic.silent ? `silent for ${age(now_ms - topic.heard_ns / 1e6)}` : topic.ended ? "has ended" : topic.heard_ns ? topic.kind : "not heard yet";
    const lost = Object.entries(topic.lost).map(([cause, count]) => `${count} ${spaced(cause)}`).join(", ");
    return make("tr", {},
      make("td", {}, make("span", { class: `dot ${mark}` }), " ", name),
      make("td", { class: topic.silent ? "bad" : "soft" }, words),
      make("td", { class: "n" }, `${topic.rate_hz.toFixed(1)} Hz`),
      make("td", { class: "n" }, topic.heard_ns ? age(now_ms - topic.stamp_ns / 1e6) : ""),
      make("td", { class: `n ${lost ? "warn" : "soft"}` }, lost || "0"));
  });
  fill(table.tBodies[0], ...rows);
}

export function showProcesses(table, nodes) {
  const rows = Object.entries(nodes).map(([name, node]) => {
    if (node.cpu === null) return make("tr", {}, make("td", {}, name), make("td", { class: "bad" }, "not running"), make("td"));
    const bar = make("div", { class: "bar" }, make("i", { class: node.cpu >= 80 ? "high" : "", style: { width: `${Math.min(100, node.cpu)}%` } }));
    return make("tr", {}, make("td", {}, name),
      make("td", { class: "meter" }, make("div", { class: "cpu" }, bar, make("span", { class: "n" }, `${node.cpu.toFixed(0)} %`))),
      make("td", { class: "n" }, `${node.memory_mb} MB`));
  });
  fill(table.tBodies[0], ...rows);
}
