// uPlot with the colours of the page, and lines of different lengths in one picture.

const uPlot = window.uPlot;
const AXIS = "12px system-ui, sans-serif";

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const ORDER = ["--c0", "--c2", "--c4", "--c3", "--c1", "--c5", "--c6", "--c7"];

export function colourOf(place) {
  return colour(ORDER[place % ORDER.length]);
}

export function short(value) {
  if (value === null) return "";
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(4))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))}k`;
  if (size !== 0 && size < 1e-3) return Number(value.toPrecision(3)).toExponential();
  return String(Number(value.toPrecision(6)));
}

export function axis(facts = {}) {
  return {
    stroke: colour("--soft"), font: AXIS, labelFont: AXIS, labelSize: 18, size: 52, gap: 4,
    grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid"), width: 1, size: 4 },
    values: (_, values) => values.map(short), ...facts,
  };
}

// Ticks at whole epochs, unless less than three of them are in view.
export function wholeSteps(plot, place, low, high) {
  const sizes = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
  return high - low < 3 ? [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, ...sizes] : sizes;
}

export function make(node, options, data) {
  const plot = new uPlot({ width: Math.max(80, node.clientWidth), height: node.clientHeight, legend: { show: false }, ...options }, data, node);
  plot.root.setAttribute("aria-hidden", "true"); // the picture is named by its frame, its values stand in a table
  return plot;
}

export function follow(node, plot) {
  const watch = new ResizeObserver(() => {
    const now = plot();
    if (now && node.clientWidth > 80) now.setSize({ width: node.clientWidth, height: node.clientHeight });
  });
  watch.observe(node);
}

export function empty(node, text) {
  let found = node.querySelector(".none");
  if (!text) return found?.remove();
  if (!found) node.append((found = Object.assign(document.createElement("p"), { className: "none" })));
  found.textContent = text;
}

// A range that holds all values with some room, also on a logarithmic axis.
export function room(log) {
  return (_, low, high) => {
    if (low === null || high === null) return log ? [0.1, 1] : [0, 1];
    if (log) return [low / 1.15, high * 1.15];
    const space = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - space, high + space];
  };
}
