/**
 * Shows a mask as a tint over the picture, at the resolution of the screen.
 *
 * Only the screen's pixels of a rectangle are computed, straight from the mask: the cost of a stroke follows
 * the brush on the screen, and neither the picture nor the rest of the mask is drawn again.
 */

/** @import {Mask} from "./mask.js" */
/** @import {View} from "./view.js" */
/** @import {Rectangle} from "./rectangle.js" */
import { intersection } from "./rectangle.js";

const OPACITY = 0.55;
const MOST_SAMPLES = 3;

export class Overlay {
  /** @param {HTMLCanvasElement} canvas Its text colour is the tint. */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.ratio = 1;
    /** Pixel words of the tint for each grey. */
    this.tints = new Uint32Array(256);
  }

  /**
   * @param {number} width Of the window, in CSS pixels.
   * @param {number} height
   * @param {number} ratio Screen pixels for one CSS pixel.
   */
  resize(width, height, ratio) {
    this.ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
  }

  /** Take the tint from the style sheet. */
  readTint() {
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
      new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true})
    );
    context.fillStyle = getComputedStyle(this.canvas).color;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    const colour = (blue << 16) | (green << 8) | red; // words are little-endian wherever browsers run
    for (let grey = 0; grey < 256; grey++) {
      this.tints[grey] = ((Math.round(grey * OPACITY) << 24) | colour) >>> 0;
    }
    this.tints[0] = 0;
  }

  /**
   * Draw the mask, or the part of it within a rectangle.
   * @param {Mask} mask
   * @param {View} view
   * @param {Rectangle | null} [area] In pixels of the picture; null for all of the window.
   * @param {boolean} [quick] One look a pixel instead of a mean, while the view moves.
   */
  draw(mask, view, area = null, quick = false) {
    if (!area) this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const place = this.onScreen(mask, view, area ?? mask.bounds);
    if (!place) return;
    const scale = view.scale * this.ratio;
    const samples = quick ? 1 : Math.min(Math.max(Math.ceil(1 / scale), 1), MOST_SAMPLES);
    const columns = sampled(place.left, place.right, samples, view.x * this.ratio, scale, mask.width);
    const rows = sampled(place.top, place.bottom, samples, view.y * this.ratio, scale, mask.height);
    const image = new ImageData(place.right - place.left, place.bottom - place.top);
    const pixels = new Uint32Array(image.data.buffer);
    if (samples === 1) this.lookUp(pixels, mask, columns, rows);
    else this.average(pixels, mask, columns, rows, samples);
    this.context.putImageData(image, place.left, place.top);
  }

  /**
   * The pixels of the screen that show a rectangle of the picture.
   * @param {Mask} mask
   * @param {View} view
   * @param {Rectangle} area
   * @returns {Rectangle | null}
   */
  onScreen(mask, view, area) {
    const scale = view.scale * this.ratio;
    const [x, y] = [view.x * this.ratio, view.y * this.ratio];
    const shown = intersection(
      {left: 0, top: 0, right: this.canvas.width, bottom: this.canvas.height},
      {
        left: Math.round(x),
        top: Math.round(y),
        right: Math.round(x + scale * mask.width),
        bottom: Math.round(y + scale * mask.height),
      },
    );
    return shown && intersection(shown, {
      left: Math.floor(x + scale * area.left) - 1,
      top: Math.floor(y + scale * area.top) - 1,
      right: Math.ceil(x + scale * area.right) + 1,
      bottom: Math.ceil(y + scale * area.bottom) + 1,
    });
  }

  /**
   * @param {Uint32Array} pixels
   * @param {Mask} mask
   * @param {Int32Array} columns
   * @param {Int32Array} rows
   */
  lookUp(pixels, mask, columns, rows) {
    const {bytes, width} = mask;
    const tints = this.tints;
    let at = 0;
    for (let row = 0; row < rows.length; row++) {
      const start = rows[row] * width;
      for (let column = 0; column < columns.length; column++) {
        pixels[at++] = tints[bytes[start + columns[column]]];
      }
    }
  }

  /**
   * @param {Uint32Array} pixels
   * @param {Mask} mask
   * @param {Int32Array} columns
   * @param {Int32Array} rows
   * @param {number} samples
   */
  average(pixels, mask, columns, rows, samples) {
    const {bytes, width} = mask;
    const tints = this.tints;
    const sums = new Uint16Array(columns.length / samples);
    const share = 1 / (samples * samples);
    let at = 0;
    for (let row = 0; row < rows.length; row += samples) {
      sums.fill(0);
      for (let below = 0; below < samples; below++) {
        const start = rows[row + below] * width;
        for (let i = 0, column = 0; i < sums.length; i++) {
          let sum = 0;
          for (let beside = 0; beside < samples; beside++) sum += bytes[start + columns[column++]];
          sums[i] += sum;
        }
      }
      for (let i = 0; i < sums.length; i++) pixels[at++] = tints[(sums[i] * share) | 0];
    }
  }
}

/**
 * The columns (or rows) of the picture that the screen's pixels look at, several for each.
 * @param {number} from
 * @param {number} to
 * @param {number} samples
 * @param {number} offset
 * @param {number} scale
 * @param {number} length
 * @returns {Int32Array}
 */
function sampled(from, to, samples, offset, scale, length) {
  const found = new Int32Array((to - from) * samples);
  for (let i = 0; i < found.length; i++) {
    const at = from + (i + 0.5) / samples;
    found[i] = Math.min(Math.max(Math.floor((at - offset) / scale), 0), length - 1);
  }
  return found;
}
