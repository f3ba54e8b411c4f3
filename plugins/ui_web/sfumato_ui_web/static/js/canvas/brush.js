/**
 * Painting on a mask: a round brush drawn along a line.
 *
 * A pixel becomes as white as its distance from the line says, or stays as it is where it was whiter already
 * (the eraser does the same with black). Going over a place twice thus changes nothing, and soft edges stay
 * soft however slowly one paints.
 */

/** @import {Mask} from "./mask.js" */
/** @import {Rectangle} from "./rectangle.js" */
import { intersection } from "./rectangle.js";

/**
 * @typedef {{x: number, y: number}} Point In pixels of the picture; a pixel's centre lies at .5.
 * @typedef {{radius: number, hardness: number, erase: boolean}} Brush Radius in pixels, hardness 0..1: the
 *   share of the radius that is painted fully.
 */

/**
 * Paint from one point to another, ends rounded.
 * @param {Mask} mask
 * @param {Point} from
 * @param {Point} to
 * @param {Brush} brush
 * @returns {Rectangle | null} Where pixels may have changed; null for nowhere.
 */
export function paintLine(mask, from, to, brush) {
  const outer = brush.radius + 0.5;
  const area = lineArea(mask, from, to, outer);
  if (!area) return null;
  const inner = Math.max(0, outer - Math.max(1, brush.radius * (1 - brush.hardness)));
  const line = measured(from, to);
  for (let row = area.top; row < area.bottom; row++) {
    const span = rowSpan(line, row + 0.5, outer);
    if (!span) continue;
    const left = Math.max(area.left, Math.floor(span[0]));
    const right = Math.min(area.right, Math.ceil(span[1]));
    const full = rowSpan(line, row + 0.5, inner);
    const fullLeft = full ? clamp(Math.ceil(full[0] - 0.5), left, right) : right;
    const fullRight = full ? clamp(Math.floor(full[1] - 0.5) + 1, fullLeft, right) : right;
    const start = row * mask.width;
    paintEdge(mask.bytes, start, left, fullLeft, row, line, inner, outer, brush.erase);
    mask.bytes.fill(brush.erase ? 0 : 255, start + fullLeft, start + fullRight);
    paintEdge(mask.bytes, start, fullRight, right, row, line, inner, outer, brush.erase);
  }
  return area;
}

/**
 * The part of the mask that a brush along a line can reach.
 * @param {Mask} mask
 * @param {Point} from
 * @param {Point} to
 * @param {number} reach
 * @returns {Rectangle | null}
 */
export function lineArea(mask, from, to, reach) {
  return intersection(mask.bounds, {
    left: Math.floor(Math.min(from.x, to.x) - reach),
    top: Math.floor(Math.min(from.y, to.y) - reach),
    right: Math.ceil(Math.max(from.x, to.x) + reach),
    bottom: Math.ceil(Math.max(from.y, to.y) + reach),
  });
}

/**
 * @typedef {{x0: number, y0: number, x1: number, y1: number, ux: number, uy: number, length: number}} Line
 *   Its ends and the direction from the first to the second, of length 1.
 * @param {Point} from
 * @param {Point} to
 * @returns {Line}
 */
function measured(from, to) {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const [ux, uy] = length ? [(to.x - from.x) / length, (to.y - from.y) / length] : [1, 0];
  return {x0: from.x, y0: from.y, x1: to.x, y1: to.y, ux, uy, length};
}

/**
 * Paint pixels of a row by their distance from the line.
 * @param {Uint8Array} bytes
 * @param {number} start Index of the row's first pixel.
 * @param {number} left
 * @param {number} right
 * @param {number} row
 * @param {Line} line
 * @param {number} inner Distance up to which pixels are painted fully.
 * @param {number} outer Distance from which they stay as they are.
 * @param {boolean} erase
 */
function paintEdge(bytes, start, left, right, row, line, inner, outer, erase) {
  const y = row + 0.5 - line.y0;
  const scale = 1 / (outer - inner);
  for (let column = left; column < right; column++) {
    const x = column + 0.5 - line.x0;
    const along = clamp(x * line.ux + y * line.uy, 0, line.length);
    const distance = Math.hypot(x - along * line.ux, y - along * line.uy);
    const share = clamp((outer - distance) * scale, 0, 1);
    const value = Math.round(255 * share * share * (3 - 2 * share));
    const i = start + column;
    bytes[i] = erase ? Math.min(bytes[i], 255 - value) : Math.max(bytes[i], value);
  }
}

/**
 * Where a row of height `y` lies within a distance of the line: from x to x. The set is convex, so that it is
 * the hull of what the row shares with the discs around both ends and the band between them.
 * @param {Line} line
 * @param {number} y
 * @param {number} distance
 * @returns {[number, number] | null}
 */
function rowSpan(line, y, distance) {
  let low = Infinity;
  let high = -Infinity;
  for (const [x, centre] of [[line.x0, line.y0], [line.x1, line.y1]]) {
    const across = distance * distance - (y - centre) ** 2;
    if (across < 0) continue;
    const half = Math.sqrt(across);
    low = Math.min(low, x - half);
    high = Math.max(high, x + half);
  }
  const band = line.length ? bandSpan(line, y - line.y0, distance) : null;
  if (band) {
    low = Math.min(low, line.x0 + band[0]);
    high = Math.max(high, line.x0 + band[1]);
  }
  return low <= high ? [low, high] : null;
}

/**
 * The same of the rectangle along the line, from its first end.
 * @param {Line} line
 * @param {number} y
 * @param {number} distance
 * @returns {[number, number] | null}
 */
function bandSpan({ux, uy, length}, y, distance) {
  const [alongLow, alongHigh] = solved(ux, y * uy, 0, length);
  const [asideLow, asideHigh] = solved(-uy, y * ux, -distance, distance);
  const low = Math.max(alongLow, asideLow);
  const high = Math.min(alongHigh, asideHigh);
  return low <= high ? [low, high] : null;
}

/**
 * The x with low <= slope x + offset <= high.
 * @param {number} slope
 * @param {number} offset
 * @param {number} low
 * @param {number} high
 * @returns {[number, number]} An empty one has its ends the wrong way round.
 */
function solved(slope, offset, low, high) {
  if (Math.abs(slope) < 1e-9) {
    return offset >= low && offset <= high ? [-Infinity, Infinity] : [Infinity, -Infinity];
  }
  const one = (low - offset) / slope;
  const other = (high - offset) / slope;
  return one < other ? [one, other] : [other, one];
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}
