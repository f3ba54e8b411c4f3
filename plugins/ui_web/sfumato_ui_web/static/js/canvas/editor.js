/** @import {Point} from "./brush.js" */
/** @import {Rectangle} from "./rectangle.js" */
import { lineArea, paintLine } from "./brush.js";
import { History } from "./history.js";
import { Mask } from "./mask.js";
import { union } from "./rectangle.js";

/**
 * @typedef {{x: number, y: number, pressure: number}} Sample Where a brush was, in pixels of the picture, and
 *   how hard it pressed, 0..1.
 */

const LEAST_PRESSED = 0.15;
const NEAR = 0.02; // of the radius

/** A mask that is painted on: strokes, whole-mask changes, undo and redo. Knows nothing of the screen. */
export class MaskEditor {
  /**
   * @param {number} width
   * @param {number} height
   * @param {number} [memory] Bytes for undoing.
   */
  constructor(width, height, memory) {
    this.mask = new Mask(width, height);
    this.history = new History(this.mask, memory);
    this.size = 64;
    this.hardness = 0.8;
    this.pressureSizes = false;
    /** @type {Sample | null} */
    this.last = null;
    this.erasing = false;
    /** @type {Point | null} Where the last stroke ended: a straight line begins there. */
    this.ended = null;
  }

  /**
   * @param {Sample} sample
   * @param {{erase?: boolean, straight?: boolean}} [how] `straight`: from where the last stroke ended.
   * @returns {Rectangle | null} Where the mask changed.
   */
  begin(sample, {erase = false, straight = false} = {}) {
    this.erasing = erase;
    this.last = straight && this.ended ? {...this.ended, pressure: sample.pressure} : sample;
    return this.extend(sample);
  }

  /**
   * @param {Sample} sample
   * @param {boolean} [exact] Whether it is painted although it lies so near to the one before that nobody
   *   would see the corner.
   * @returns {Rectangle | null} Where the mask changed.
   */
  extend(sample, exact = true) {
    if (!this.last) return null;
    let changed = null;
    const before = this.last;
    const [first, last] = [this.radius(before), this.radius(sample)];
    const step = Math.hypot(sample.x - before.x, sample.y - before.y);
    if (!exact && step < NEAR * last) return null;
    const parts = Math.min(Math.max(1, Math.ceil(Math.abs(last - first))), 16);
    for (let part = 1; part <= parts; part++) {
      const radius = first + ((last - first) * part) / parts;
      const from = between(before, sample, (part - 1) / parts);
      changed = union(changed, this.line(from, between(before, sample, part / parts), radius));
    }
    this.last = sample;
    return changed;
  }

  end() {
    if (this.last) this.ended = {x: this.last.x, y: this.last.y};
    this.last = null;
    this.history.commit();
  }

  /** @returns {Rectangle | null} What was painted of a stroke that is not to be. */
  cancel() {
    this.last = null;
    return this.history.rollBack();
  }

  /**
   * @param {Point} from
   * @param {Point} to
   * @param {number} radius
   * @returns {Rectangle | null}
   */
  line(from, to, radius) {
    const area = lineArea(this.mask, from, to, radius + 0.5);
    if (!area) return null;
    this.history.touch(area);
    return paintLine(this.mask, from, to, {radius, hardness: this.hardness, erase: this.erasing});
  }

  /** @param {Sample} sample */
  radius({pressure}) {
    return (this.size / 2) * (this.pressureSizes ? Math.max(LEAST_PRESSED, pressure) : 1);
  }

  /** @param {number} value Of all pixels, 0..255. */
  fill(value) {
    this.history.touch(this.mask.bounds);
    this.mask.fill(value);
    this.history.commit();
  }

  invert() {
    this.mask.invert();
    this.history.addInversion();
  }

  /** @param {Blob} blob */
  async read(blob) {
    this.history.touch(this.mask.bounds);
    await this.mask.read(blob);
    this.history.commit();
  }
}

/**
 * @param {Point} one
 * @param {Point} other
 * @param {number} share
 * @returns {Point}
 */
function between(one, other, share) {
  return {x: one.x + (other.x - one.x) * share, y: one.y + (other.y - one.y) * share};
}
