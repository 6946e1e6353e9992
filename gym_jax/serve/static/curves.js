// The pictures of the curves: drawn together, zoomed and moved together, by mouse and by keyboard.

import { drawLines, drawRings, nearest, rangeOf } from "./lines.js";
import { axis, colourOf, empty, follow, make, wholeSteps } from "./plot.js";
import { state } from "./state.js";
import { el, number } from "./words.js";

const CHARTS = {
  "chart-loss": { title: "Loss of train and validation by epoch", log: true, best: true, lines: [
    ["chunks", "loss", "within an epoch", { alpha: 0.35, width: 1 }],
    ["metrics", "loss", "train", { alpha: 0.6, width: 1, dots: 40 }],
    ["metrics", "val_loss", "validation", { alpha: 1, width: 2, dots: 40 }],
  ] },
  "chart-rate": { title: "Learning rate by epoch", lines: [["metrics", "lr", "learning rate", { alpha: 1, width: 1.5, dots: 40 }]] },
  "chart-norm": { title: "Gradient norm by epoch", lines: [["metrics", "grad_norm", "gradient norm", { alpha: 1, width: 1.5, dots: 40 }]] },
  "chart-speed": { title: "Windows per second by epoch", lines: [["speed", "windows_per_second", "windows/s", { alpha: 1, width: 1.5, dots: 40 }]] },
};
const STEP = 0.1; // of the view, by an arrow key
const MANY = 8; // runs from which on only the main lines are drawn while the view is moved
const REST = 120; // milliseconds after which it rests

const made = new Map(); // by name of the chart: { plot, lines, log, colours }
const inView = new Set(); // charts that are on the screen: others are drawn when they come
let seen = () => {};
let planned = false;
let moving = 0; // the timer that runs while the view is moved

function linesOf(name) {
  const lines = [];
  for (const [table, column, what, style] of CHARTS[name].lines) {
    for (const id of state.runs.keys()) {
      const found = state.shown.has(id) ? state.curves.get(id)?.[table].curves[column] : null;
      if (moving && style.alpha < 1 && state.shown.size > MANY) continue; // the others come when it rests
      if (found?.x.length) lines.push({ id, what, ...style, colour: colourOf(state.colours.get(id)), x: found.x, y: found.y });
    }
  }
  return lines;
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
  for (const name of inView) draw(name, linesOf(name));
}

export function forget() {
  for (const { plot } of made.values()) plot?.destroy();
  made.clear();
}

function draw(name, lines) {
  const node = document.getElementById(name);
  if (!node.clientWidth) return; // in a tab that is not looked at
  const log = Boolean(CHARTS[name].log && state.log);
  let chart = made.get(name);
  if (chart && (chart.log !== log || !lines.length)) [chart.plot.destroy(), made.delete(name), (chart = null)];
  const runs = state.shown.size;
  const none = state.runs.size ? "no run is drawn: choose one in the list" : ""; // the list says when there is none
  empty(node, lines.length ? "" : runs ? "no epoch has ended yet" : none);
  node.setAttribute("aria-label", `${CHARTS[name].title}: ${runs} runs. Plus and minus zoom, arrows move, 0 shows all.`);
  if (!lines.length) return;
  const view = state.view ?? whole();
  const [low, high] = rangeOf(lines, view, log);
  if (!chart) {
    made.set(name, (chart = { log, lines }));
    chart.plot = make(node, options(name, node, chart, view, [low, high]), [view, [null, null]]);
    return;
  }
  chart.lines = lines;
  chart.plot.batch(() => {
    chart.plot.setScale("x", { min: view[0], max: view[1] });
    chart.plot.setScale("y", { min: low, max: high });
    chart.plot.redraw(false, true); // the values have changed, even where the frame has not
  });
}

function options(name, node, chart, [least, most], [low, high]) {
  const readout = node.querySelector(".readout") ?? node.appendChild(el("p", { class: "readout", hidden: true }));
  const rings = () => [...state.shown].map((id) => [id, state.runs.get(id)?.best]).filter(([, best]) => best)
    .map(([id, best]) => ({ x: best.epoch, y: best.val_loss, colour: colourOf(state.colours.get(id)) }));
  return {
    scales: { x: { time: false, auto: false, min: least, max: most }, y: { auto: false, distr: chart.log ? 3 : 1, min: low, max: high } },
    axes: [axis({ label: "epoch", size: 30, labelSize: 16, incrs: wholeSteps }), axis({ size: 58 })],
    series: [{}, { show: true, points: { show: false } }],
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: {
      draw: [(plot) => {
        drawLines(plot, chart.lines, chart.log, Boolean(moving));
        if (CHARTS[name].best) drawRings(plot, rings(), chart.log);
      }],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        look([plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")]);
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
      setCursor: [(plot) => {
        const near = nearest(plot, chart.lines, chart.log);
        readout.hidden = !near;
        if (near) readout.textContent = `${near.line.id}, ${near.line.what}: ${number(near.y, 5)} at epoch ${number(near.x, 6)}`;
      }],
      ready: [wheel],
    },
  };
}

export function look(view) {
  const [low, high] = whole();
  state.view = view && (view[0] > low || view[1] < high) ? [Math.max(low, view[0]), Math.min(high, view[1])] : null;
  if (state.view && state.view[1] - state.view[0] < 1e-3) state.view = null;
  if (!planned) requestAnimationFrame(() => [(planned = false), drawCurves()]);
  planned = true;
  clearTimeout(moving);
  moving = setTimeout(() => [(moving = 0), drawCurves()], REST);
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
    const across = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && !event.altKey && !across) return; // the page scrolls
    event.preventDefault();
    if (across) move(Math.sign(event.deltaX || event.deltaY) * STEP);
    else zoom(event.deltaY > 0 ? 1.25 : 0.8, plot.posToVal(plot.cursor.left, "x"));
  }, { passive: false });
  plot.over.addEventListener("dblclick", () => look(null));
}

// `changed` is called when another part of the curves is in view.
export function begin(changed) {
  seen = changed;
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) [inView.add(target.id), draw(target.id, linesOf(target.id))];
      else inView.delete(target.id);
    }
  }, { rootMargin: "300px" }); // a little before they come
  for (const name of Object.keys(CHARTS)) {
    const node = document.getElementById(name);
    watch.observe(node);
    follow(node, () => made.get(name)?.plot);
    node.addEventListener("keydown", (event) => {
      const does = {
        "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1.4), 0: () => look(null), Escape: () => look(null),
        ArrowLeft: () => move(-STEP), ArrowRight: () => move(STEP),
      }[event.key];
      if (!does || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      does();
    });
  }
}
