// Load and memory of the machine: in the head as words, below as a picture.

import { axis, colour, follow, make } from "./plot.js";
import { state } from "./state.js";
import { el, size, stamp } from "./words.js";

let plot = null;

export function tellMachine() {
  const now = state.system.at(-1);
  if (!now) return;
  const load = now.load ? `${now.load[0].toFixed(2)} of ${now.cores} cores` : "–";
  const memory = now.memory.total ? `${size(now.memory.used)} of ${size(now.memory.total)}` : "–";
  document.getElementById("system").replaceChildren(
    ...[["Load", load], ["Memory", memory]].map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))),
  );
}

export function drawMachine() {
  const node = document.getElementById("chart-system");
  if (!node.clientWidth || state.system.length < 2) return;
  const data = [
    state.system.map((one) => one.time),
    state.system.map((one) => one.load?.[0] ?? null),
    state.system.map((one) => (one.memory.used === null ? null : one.memory.used / 2 ** 30)),
  ];
  node.setAttribute("aria-label", "Load and memory of this machine since the monitor looks");
  if (plot) return plot.setData(data);
  plot = make(node, {
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, (high || 1) * 1.1] }, m: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
    axes: [
      axis({ size: 30, space: 90, values: (_, times) => times.map((time) => stamp(time - new Date().getTimezoneOffset() * 60).slice(11, 19)) }),
      axis({ size: 40 }),
      axis({ scale: "m", side: 1, size: 44, grid: { show: false } }),
    ],
    series: [{}, { stroke: colour("--c0"), width: 1.5, points: { show: false } }, { stroke: colour("--c2"), width: 1.5, scale: "m", dash: [6, 4], points: { show: false } }],
    cursor: { show: false },
  }, data);
}

export function forgetMachine() {
  plot?.destroy();
  plot = null;
}

export function beginMachine() {
  follow(document.getElementById("chart-system"), () => plot);
}
