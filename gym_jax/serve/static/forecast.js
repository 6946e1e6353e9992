// The picture of one forecast: what was observed, the window ahead with its bands, the allocation for it.

import { axis, colour, follow, make, room } from "./plot.js";
import { moment } from "./words.js";

const uPlot = window.uPlot;
let plot = null;
let shape = "";
let now = null; // { answer, told }
let pinned = null; // the part in view stays where it is while the origin is dragged

function faded(name, share) {
  const context = faded.context ?? (faded.context = document.createElement("canvas").getContext("2d"));
  context.fillStyle = colour(name);
  const hex = context.fillStyle; // as #rrggbb
  return `${hex}${Math.round(share * 255).toString(16).padStart(2, "0")}`;
}

function columns(answer, told) {
  const step = answer.step ?? 1;
  const { begin, values } = answer.around;
  const first = Math.min(begin, answer.origin - 1);
  const end = Math.max(begin + values.length, answer.origin + told.horizon);
  const rows = Array.from({ length: end - first }, (_, place) => first + place);
  const time = (row) => answer.around.time + (row - begin) * step;
  const pick = (list, from) => rows.map((row) => list[row - from] ?? null);
  const bands = answer.bands.flatMap((band) => [pick(band.high, answer.origin), pick(band.low, answer.origin)]);
  const top = answer.allocation[0]?.value ?? null;
  return [
    rows.map(time), pick(values, begin), ...bands, pick(answer.forecast, answer.origin),
    rows.map((row) => (top !== null && row >= answer.origin && row < answer.origin + told.horizon ? top : null)),
  ];
}

function options(answer) {
  const count = answer.bands.length;
  const edge = { stroke: faded("--c0", 0.5), width: 1, points: { show: false } };
  return {
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: { x: { time: answer.step !== null }, y: { range: room(false) } },
    axes: [
      axis({ size: 30, space: 120, values: (_, times) => times.map((time) => (answer.step === null ? time : moment(time).slice(5))) }),
      axis({ size: 58, label: answer.target }),
    ],
    series: [
      {}, { stroke: colour("--ink"), width: 1.5, points: { show: false } }, ...Array.from({ length: 2 * count }, () => edge),
      { stroke: colour("--c0"), width: 2.5, points: { show: true, size: 5, fill: colour("--c0") } },
      { stroke: colour("--c2"), width: 2, dash: [6, 4], points: { show: false } },
    ],
    bands: Array.from({ length: count }, (_, place) => ({ series: [2 + 2 * place, 3 + 2 * place], fill: faded("--c0", 0.16) })),
    cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
    hooks: { drawClear: [shade] },
  };
}

// The window that is forecast, behind everything.
function shade(plot) {
  const { answer, told } = now;
  const step = answer.step ?? 1;
  const { ctx, bbox } = plot;
  const [left, right] = [answer.time - step / 2, answer.time + step * (told.horizon - 0.5)].map((time) => plot.valToPos(time, "x", true));
  const sharp = window.devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = faded("--soft", 0.1);
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.fillStyle = colour("--c0");
  ctx.fillRect(left - sharp, bbox.top, 2 * sharp, bbox.height);
  ctx.beginPath();
  ctx.arc(left, bbox.top + 7 * sharp, 6 * sharp, 0, 2 * Math.PI);
  ctx.fill();
  ctx.restore();
}

export function drawForecast(answer, told) {
  const node = document.getElementById("chart-forecast");
  if (!node.clientWidth) return;
  now = { answer, told };
  const data = columns(answer, told);
  const like = JSON.stringify([answer.bands.length, answer.step === null, answer.target]);
  node.setAttribute("aria-label", `${answer.target} of ${answer.series}: observed and forecast. Arrow keys move the origin, with shift by a horizon.`);
  if (!plot || shape !== like) {
    plot?.destroy();
    [plot, shape] = [make(node, options(answer), data), like];
  }
  plot.batch(() => {
    plot.setData(data, false);
    const view = pinned ?? [data[0][0], data[0].at(-1)];
    plot.setScale("x", { min: view[0], max: view[1] });
  });
}

export function forgetForecast() {
  plot?.destroy();
  plot = null;
}

// `to` is called with the row that the origin is dragged to.
export function beginForecast(node, to) {
  follow(node, () => plot);
  const row = (event) => {
    const { answer } = now;
    const box = plot.over.getBoundingClientRect();
    const time = plot.posToVal(event.clientX - box.left, "x");
    return answer.origin + (time - answer.time) / (answer.step ?? 1);
  };
  node.addEventListener("pointerdown", (event) => {
    if (!plot || event.button !== 0) return;
    pinned = [plot.scales.x.min, plot.scales.x.max];
    node.setPointerCapture(event.pointerId);
    to(row(event));
  });
  node.addEventListener("pointermove", (event) => {
    if (pinned && node.hasPointerCapture(event.pointerId)) to(row(event));
  });
  const release = () => {
    if (!pinned) return;
    pinned = null;
    if (now) drawForecast(now.answer, now.told);
  };
  node.addEventListener("pointerup", release);
  node.addEventListener("pointercancel", release);
}
