// The pictures of the curves: drawn together, zoomed and moved together, by mouse and by keyboard.

import { state } from "./state.js";
import { axis, colour, colourOf, empty, follow, join, make, room, wholeSteps } from "./plot.js";
import { el, number } from "./words.js";

const CHARTS = {
  "chart-loss": { title: "Loss of train and validation by epoch", log: true, lines: [
    ["metrics", "loss", "train", { dash: [6, 4], width: 1.25 }],
    ["chunks", "loss", "within an epoch", { dash: [1, 3], width: 1 }],
    ["metrics", "val_loss", "validation", { width: 2 }],
  ] },
  "chart-rate": { title: "Learning rate by epoch", lines: [["metrics", "lr", "learning rate", { width: 1.5 }]] },
  "chart-norm": { title: "Gradient norm by epoch", lines: [["metrics", "grad_norm", "gradient norm", { width: 1.5 }]] },
  "chart-speed": { title: "Windows per second by epoch", lines: [["speed", "windows_per_second", "windows/s", { width: 1.5 }]] },
};
const FEW = 40; // points of a line that are drawn as dots too
const STEP = 0.1; // of the view, by an arrow key

const made = new Map(); // by name of the chart: { plot, key }
let seen = () => {};

function linesOf(name) {
  const lines = [];
  for (const [table, column, what, style] of CHARTS[name].lines) {
    for (const id of state.runs.keys()) {
      const found = state.shown.has(id) ? state.curves.get(id)?.[table].curves[column] : null;
      if (!found || (table === "chunks" && !found.x.length)) continue;
      lines.push({ id, what, style, x: found.x, y: found.y });
    }
  }
  return lines;
}

function positive(lines, log) {
  return log ? lines.map((line) => ({ ...line, y: line.y.map((value) => (value > 0 ? value : null)) })) : lines;
}

function whole() {
  let [low, high] = [Infinity, -Infinity];
  for (const id of state.shown) {
    for (const table of ["metrics", "chunks", "speed"]) {
      for (const { x } of Object.values(state.curves.get(id)?.[table].curves ?? {})) {
        if (x.length) [low, high] = [Math.min(low, x[0]), Math.max(high, x.at(-1))];
      }
    }
  }
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

export function drawCurves() {
  for (const name of Object.keys(CHARTS)) draw(name);
}

export function forget() {
  for (const [name, { plot }] of made) {
    plot?.destroy();
    made.delete(name);
  }
}

function draw(name) {
  const node = document.getElementById(name);
  if (!node.clientWidth) return; // in a tab that is not looked at
  const log = Boolean(CHARTS[name].log && state.log);
  const lines = positive(linesOf(name), log);
  const data = join(lines);
  const key = JSON.stringify([log, lines.map((line) => [line.id, line.what, line.x.length <= FEW])]);
  const before = made.get(name);
  const [low, high] = state.view ?? whole();
  if (before?.plot && before.key === key && data) {
    before.plot.batch(() => {
      before.plot.setData(data, false);
      before.plot.setScale("x", { min: low, max: high });
    });
    return;
  }
  before?.plot?.destroy();
  const runs = state.shown.size;
  empty(node, data ? "" : runs ? "no epoch has ended yet" : "no run is drawn: choose one in the list");
  node.setAttribute("aria-label", `${CHARTS[name].title}: ${runs} runs. Plus and minus zoom, arrows move, 0 shows all.`);
  made.set(name, { key, plot: data ? make(node, options(name, node, lines, log, [low, high]), data) : null });
}

function options(name, node, lines, log, view) {
  const readout = node.querySelector(".readout") ?? node.appendChild(el("p", { class: "readout", hidden: true }));
  return {
    scales: { x: { time: false, min: view[0], max: view[1] }, y: { distr: log ? 3 : 1, range: room(log) } },
    axes: [axis({ label: "epoch", size: 30, labelSize: 16, incrs: wholeSteps }), axis({ size: 58 })],
    series: [{}, ...lines.map((line) => ({
      label: line.what, stroke: colourOf(state.colours.get(line.id)), spanGaps: true, ...line.style,
      points: { show: line.x.length <= FEW && line.what !== "within an epoch", size: 5, fill: colourOf(state.colours.get(line.id)) },
    }))],
    focus: { alpha: 0.35 },
    cursor: { sync: { key: "epochs", setSeries: false, scales: ["x", null] }, focus: { prox: 24 }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: {
      draw: [name === "chart-loss" ? drawBest : () => {}],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        look([plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")]);
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
      setCursor: [(plot) => tell(plot, lines, readout)],
      ready: [(plot) => wheel(plot)],
    },
  };
}

// Says which line is nearest to the pointer, and its value there.
function tell(plot, lines, readout) {
  const { left, top, idx } = plot.cursor;
  let best = null;
  if (idx !== null && left >= 0 && top >= 0) {
    for (const [place, line] of lines.entries()) {
      let near = idx;
      const values = plot.data[place + 1];
      for (let away = 0; away < 60 && (values[near] === null || values[near] === undefined); away++) near = idx + (away % 2 ? 1 : -1) * Math.ceil(away / 2);
      const value = values[near];
      if (value === null || value === undefined) continue;
      const far = Math.abs(plot.valToPos(value, "y") - top) + Math.abs(plot.valToPos(plot.data[0][near], "x") - left);
      if (!best || far < best.far) best = { far, line, value, x: plot.data[0][near] };
    }
  }
  readout.hidden = !best || best.far > 60;
  if (!readout.hidden) readout.textContent = `${best.line.id}, ${best.line.what}: ${number(best.value, 5)} at epoch ${number(best.x, 6)}`;
}

function drawBest(plot) {
  const { ctx } = plot;
  const sharp = window.devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  const around = 8 * sharp; // a ring at the edge is whole
  ctx.rect(plot.bbox.left - around, plot.bbox.top - around, plot.bbox.width + 2 * around, plot.bbox.height + 2 * around);
  ctx.clip();
  for (const id of state.shown) {
    const best = state.runs.get(id)?.best;
    if (!best || (state.log && best.val_loss <= 0)) continue;
    const [x, y] = [plot.valToPos(best.epoch, "x", true), plot.valToPos(best.val_loss, "y", true)];
    ctx.beginPath();
    ctx.arc(x, y, 5.5 * sharp, 0, 2 * Math.PI);
    ctx.lineWidth = 2 * sharp;
    ctx.fillStyle = colour("--card");
    ctx.strokeStyle = colourOf(state.colours.get(id));
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

export function look(view) {
  const [low, high] = whole();
  state.view = view && (view[0] > low || view[1] < high) ? [Math.max(low, view[0]), Math.min(high, view[1])] : null;
  if (state.view && state.view[1] - state.view[0] < 1e-3) state.view = null;
  const [min, max] = state.view ?? [low, high];
  for (const { plot } of made.values()) plot?.setScale("x", { min, max });
  seen();
}

function zoom(factor, middle) {
  const [low, high] = state.view ?? whole();
  const centre = middle ?? (low + high) / 2;
  look([centre - (centre - low) * factor, centre + (high - centre) * factor]);
}

function move(share) {
  if (!state.view) return;
  const [[low, high], [least, most]] = [state.view, whole()];
  const by = Math.max(least - low, Math.min(most - high, share * (high - low)));
  look([low + by, high + by]);
}

function wheel(plot) {
  plot.over.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY) && !event.altKey) return; // the page scrolls
    event.preventDefault();
    if (event.ctrlKey || event.altKey) zoom(event.deltaY > 0 ? 1.25 : 0.8, plot.posToVal(plot.cursor.left, "x"));
    else move(Math.sign(event.deltaX || event.deltaY) * STEP);
  }, { passive: false });
  plot.over.addEventListener("dblclick", () => look(null));
}

// `changed` is called when another part of the curves is in view.
export function begin(changed) {
  seen = changed;
  for (const name of Object.keys(CHARTS)) {
    const node = document.getElementById(name);
    follow(node, () => made.get(name)?.plot);
    node.addEventListener("keydown", (event) => {
      const does = { "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1.4), ArrowLeft: () => move(-STEP), ArrowRight: () => move(STEP), 0: () => look(null), Escape: () => look(null) }[event.key];
      if (!does || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      does();
    });
  }
}
