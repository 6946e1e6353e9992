// Many lines, each with its own places on the axis, drawn into the frame that uPlot gives: axes, grid, cursor, selection.

import { colour } from "./plot.js";

// Without a graphics card 40 lines of 1,000 points take 230 ms a frame at two pixels and under 17 ms at one; strokes of
// few points at a time are three times as fast as whole lines.
const CROWD = 6000; // points in view from which on all lines are one pixel wide
const STROKE = 32; // points of one stroke
const BRISK = 1600; // points in view that are drawn while the view moves: close together, noisy lines fill the frame

// The first place in a rising list whose value is not below the wanted one.
function search(list, wanted) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The part of a line that is in view, and a point to each side.
function part(line, min, max) {
  return [Math.max(0, search(line.x, min) - 1), Math.min(line.x.length, search(line.x, max) + 1)];
}

// The least and the greatest value in view, with some room; what a logarithm does not have is left out.
export function rangeOf(lines, [min, max], log) {
  let [low, high] = [Infinity, -Infinity];
  for (const line of lines) {
    const [begin, end] = part(line, min, max);
    for (let place = begin; place < end; place++) {
      const value = line.y[place];
      if (value === null || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) return [low / 1.1, high * 1.1];
  const space = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - space, high + space];
}

export function mapOf(plot, log) {
  const { bbox, scales: { x, y } } = plot;
  const [wide, bend] = [bbox.width / (x.max - x.min), log ? Math.log : (value) => value];
  const [least, tall] = [bend(y.min), bbox.height / (bend(y.max) - bend(y.min))];
  return {
    across: (value) => bbox.left + (value - x.min) * wide,
    down: (value) => bbox.top + bbox.height - (bend(value) - least) * tall,
  };
}

// While the view is `moving`, every so many points of a crowd are drawn: always the same ones, so that nothing flickers.
export function drawLines(plot, lines, log, moving = false) {
  const { ctx, bbox, scales: { x } } = plot;
  const sharp = window.devicePixelRatio || 1;
  const { across, down } = mapOf(plot, log);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineJoin = "bevel";
  const parts = lines.map((line) => part(line, x.min, x.max));
  const points = parts.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const crowd = points > CROWD;
  const stride = moving ? Math.ceil(points / BRISK) : 1;
  for (const [number, line] of lines.entries()) {
    const [begin, end] = parts[number];
    ctx.globalAlpha = line.alpha;
    ctx.lineWidth = crowd ? 1 : line.width * sharp;
    ctx.strokeStyle = ctx.fillStyle = line.colour;
    ctx.beginPath();
    let drawn = 0;
    for (let place = begin - (begin % stride); place < end + stride - 1 && place < line.x.length; place += stride) {
      const value = line.y[place];
      if (value === null || (log && value <= 0)) continue;
      const [left, top] = [across(line.x[place]), down(value)];
      if (drawn) ctx.lineTo(left, top);
      else ctx.moveTo(left, top);
      if (++drawn % STROKE) continue;
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(left, top);
    }
    ctx.stroke();
    if (!line.dots || end - begin > line.dots) continue;
    for (let place = begin; place < end; place++) {
      if (line.y[place] === null || (log && line.y[place] <= 0)) continue;
      ctx.beginPath();
      ctx.arc(across(line.x[place]), down(line.y[place]), 2.4 * sharp, 0, 2 * Math.PI);
      ctx.fill();
    }
  }
  ctx.restore();
}

export function drawRings(plot, rings, log) {
  const { ctx, bbox } = plot;
  const sharp = window.devicePixelRatio || 1;
  const { across, down } = mapOf(plot, log);
  const room = 8 * sharp; // a ring at the edge is whole
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - room, bbox.top - room, bbox.width + 2 * room, bbox.height + 2 * room);
  ctx.clip();
  ctx.lineWidth = 2 * sharp;
  ctx.fillStyle = colour("--card");
  for (const ring of rings) {
    if (log && ring.y <= 0) continue;
    ctx.beginPath();
    ctx.arc(across(ring.x), down(ring.y), 5.5 * sharp, 0, 2 * Math.PI);
    ctx.strokeStyle = ring.colour;
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

// The point that is nearest to the pointer, if one is near.
export function nearest(plot, lines, log, reach = 40) {
  const { left, top } = plot.cursor;
  if (!(left >= 0 && top >= 0)) return null;
  const at = plot.posToVal(left, "x");
  let best = null;
  for (const line of lines) {
    const middle = search(line.x, at);
    for (let place = Math.max(0, middle - 2); place < Math.min(line.x.length, middle + 2); place++) {
      const value = line.y[place];
      if (value === null || (log && value <= 0)) continue;
      const far = Math.hypot(plot.valToPos(value, "y") - top, plot.valToPos(line.x[place], "x") - left);
      if (far < (best?.far ?? reach)) best = { far, line, x: line.x[place], y: value };
    }
  }
  return best;
}
