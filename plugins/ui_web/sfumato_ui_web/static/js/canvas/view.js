/** @import {Point} from "./brush.js" */
/** @import {Rectangle} from "./rectangle.js" */

const GREATEST = 32;
const LARGEST_FIT = 8;
const MARGIN = 48; // of the picture stays in sight
const FRAME = 12; // is left around a fitted one

/**
 * How a picture lies in a window: how large, and where. Lengths in the window are CSS pixels.
 *
 * A point of the picture lies in the window at `x + scale * point.x`, and so downwards.
 */
export class View {
  constructor() {
    this.width = 1;
    this.height = 1;
    this.pictureWidth = 1;
    this.pictureHeight = 1;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    /** Whether the picture is kept fitted when the window changes. */
    this.fitted = true;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    const centre = this.toPicture({x: this.width / 2, y: this.height / 2});
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (this.fitted) this.fit();
    else this.moveTo(centre, {x: this.width / 2, y: this.height / 2});
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  show(width, height) {
    this.pictureWidth = width;
    this.pictureHeight = height;
    this.fit();
  }

  /** The scale at which all of the picture is seen; small ones are not enlarged past eight times. */
  get fitScale() {
    const width = Math.max(1, this.width - 2 * FRAME);
    const height = Math.max(1, this.height - 2 * FRAME);
    return Math.min(width / this.pictureWidth, height / this.pictureHeight, LARGEST_FIT);
  }

  /** Show all of it. */
  fit() {
    this.scale = this.fitScale;
    this.x = (this.width - this.scale * this.pictureWidth) / 2;
    this.y = (this.height - this.scale * this.pictureHeight) / 2;
    this.fitted = true;
  }

  /**
   * Zoom so that the picture's point under `at` stays there.
   * @param {number} scale
   * @param {Point} [at] In the window; its middle if not given.
   */
  zoomTo(scale, at = {x: this.width / 2, y: this.height / 2}) {
    const point = this.toPicture(at);
    this.scale = Math.min(Math.max(scale, this.fitScale / 2), GREATEST);
    this.moveTo(point, at);
  }

  /**
   * @param {number} dx
   * @param {number} dy
   */
  panBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.stayInSight();
  }

  /**
   * Move so that a point of the picture lies in the window at `at`.
   * @param {Point} point
   * @param {Point} at
   */
  moveTo(point, at) {
    this.x = at.x - this.scale * point.x;
    this.y = at.y - this.scale * point.y;
    this.fitted = false;
    this.stayInSight();
  }

  /**
   * Move just so far that a point of the picture is seen.
   * @param {Point} point
   */
  reveal(point) {
    const {x, y} = this.toWindow(point);
    const [marginX, marginY] = [Math.min(MARGIN, this.width / 4), Math.min(MARGIN, this.height / 4)];
    const dx = Math.min(Math.max(x, marginX), this.width - marginX) - x;
    const dy = Math.min(Math.max(y, marginY), this.height - marginY) - y;
    if (this.scale > this.fitScale && (dx || dy)) this.panBy(dx, dy);
  }

  stayInSight() {
    this.x = kept(this.x, this.scale * this.pictureWidth, this.width);
    this.y = kept(this.y, this.scale * this.pictureHeight, this.height);
  }

  /**
   * @param {Point} point In the window.
   * @returns {Point} In the picture.
   */
  toPicture({x, y}) {
    return {x: (x - this.x) / this.scale, y: (y - this.y) / this.scale};
  }

  /**
   * @param {Point} point In the picture.
   * @returns {Point} In the window.
   */
  toWindow({x, y}) {
    return {x: this.x + x * this.scale, y: this.y + y * this.scale};
  }
}

/**
 * An offset with which at least a margin of the picture is seen.
 * @param {number} offset
 * @param {number} length Of the picture, in the window.
 * @param {number} room
 */
function kept(offset, length, room) {
  const margin = Math.min(MARGIN, length, room);
  return Math.min(Math.max(offset, margin - length), room - margin);
}
