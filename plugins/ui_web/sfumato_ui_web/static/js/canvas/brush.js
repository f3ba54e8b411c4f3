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

const FLAT = 1e-9; // a slope that counts as none

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
  const [whole, full] = [new Float64Array(2), new Float64Array(2)];
  const paint = brush.erase ? eraseEdge : paintEdge;
  for (let row = area.top; row < area.bottom; row++) {
    if (!rowSpan(line, row + 0.5, outer, whole)) continue;
    const left = Math.max(area.left, Math.floor(whole[0]));
    const right = Math.min(area.right, Math.ceil(whole[1]));
    const filled = rowSpan(line, row + 0.5, inner, full);
    const fullLeft = filled ? clamp(Math.ceil(full[0] - 0.5), left, right) : right;
    const fullRight = filled ? clamp(Math.floor(full[1] - 0.5) + 1, fullLeft, right) : right;
    const start = row * mask.width;
    paint(mask.bytes, start, left, fullLeft, row, line, inner, outer);
    if (fullLeft < fullRight) mask.bytes.fill(brush.erase ? 0 : 255, start + fullLeft, start + fullRight);
    paint(mask.bytes, start, fullRight, right, row, line, inner, outer);
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
 * Whiten pixels of a row by their distance from the line.
 * @param {Uint8Array} bytes
 * @param {number} start Index of the row's first pixel.
 * @param {number} left
 * @param {number} right
 * @param {number} row
 * @param {Line} line
 * @param {number} inner Distance up to which pixels are painted fully.
 * @param {number} outer Distance from which they stay as they are.
 */
function paintEdge(bytes, start, left, right, row, line, inner, outer) {
  const scale = 1 / (outer - inner);
  const y = row + 0.5 - line.y0;
  for (let column = left; column < right; column++) {
    if (bytes[start + column] === 255) continue;
    const value = faded((outer - distance(column + 0.5 - line.x0, y, line)) * scale);
    if (value > bytes[start + column]) bytes[start + column] = value;
  }
}

/** @type {typeof paintEdge} Blacken them. */
function eraseEdge(bytes, start, left, right, row, line, inner, outer) {
  const scale = 1 / (outer - inner);
  const y = row + 0.5 - line.y0;
  for (let column = left; column < right; column++) {
    if (bytes[start + column] === 0) continue;
    const value = 255 - faded((outer - distance(column + 0.5 - line.x0, y, line)) * scale);
    if (value < bytes[start + column]) bytes[start + column] = value;
  }
}

/**
 * How far a point, seen from the line's first end, is from the line. (`Math.hypot` takes many times as long.)
 * @param {number} x
 * @param {number} y
 * @param {Line} line
 */
function distance(x, y, { ux, uy, length }) {
  const along = clamp(x * ux + y * uy, 0, length);
  const dx = x - along * ux;
  const dy = y - along * uy;
  return Math.sqrt(dx * dx + dy * dy);
}

/**
 * The smooth step from 0 to 255.
 * @param {number} share Below 0 counts as 0, above 1 as 1.
 */
function faded(share) {
  const s = clamp(share, 0, 1);
  return (255 * s * s * (3 - 2 * s) + 0.5) | 0;
}

/**
 * Where a row of height `y` lies within a distance of the line: from x to x. The set is convex, so that it is
 * the hull of what the row shares with the discs around both ends and the band between them.
 * @param {Line} line
 * @param {number} y
 * @param {number} reach
 * @param {Float64Array} span Takes both ends: rows are many, and making lists for them takes longer.
 * @returns {boolean} Whether there is such a span.
 */
function rowSpan(line, y, reach, span) {
  span[0] = Infinity;
  span[1] = -Infinity;
  addDisc(line.x0, y - line.y0, reach, span);
  addDisc(line.x1, y - line.y1, reach, span);
  if (line.length) addBand(line, y - line.y0, reach, span);
  return span[0] <= span[1];
}

/**
 * @param {number} x
 * @param {number} y Height of the row over the disc's centre.
 * @param {number} radius
 * @param {Float64Array} span
 */
function addDisc(x, y, radius, span) {
  const across = radius * radius - y * y;
  if (across < 0) return;
  const half = Math.sqrt(across);
  span[0] = Math.min(span[0], x - half);
  span[1] = Math.max(span[1], x + half);
}

/**
 * The rectangle along the line: what lies between its ends, and not further aside than `reach`.
 * @param {Line} line
 * @param {number} y Height of the row over the line's first end.
 * @param {number} reach
 * @param {Float64Array} span
 */
function addBand({ x0, ux, uy, length }, y, reach, span) {
  let low = -Infinity;
  let high = Infinity;
  if (Math.abs(ux) > FLAT) {
    low = Math.min(-y * uy, length - y * uy) / ux;
    high = Math.max(-y * uy, length - y * uy) / ux;
    if (low > high) [low, high] = [high, low];
  } else if (y * uy < 0 || y * uy > length) return;
  if (Math.abs(uy) > FLAT) {
    const middle = (y * ux) / uy;
    const half = reach / Math.abs(uy);
    low = Math.max(low, middle - half);
    high = Math.min(high, middle + half);
  } else if (Math.abs(y * ux) > reach) return;
  if (low > high) return;
  span[0] = Math.min(span[0], x0 + low);
  span[1] = Math.max(span[1], x0 + high);
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}
