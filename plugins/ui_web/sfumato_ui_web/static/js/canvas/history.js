/**
 * Undo and redo of changes to a mask, within a bound of memory.
 *
 * A change keeps what lay under it: squares of the mask, copied just before they are first touched, and a
 * single number for a square of one grey. Undoing swaps them with what is there now, which is what redoing needs.
 */

/** @import {Mask} from "./mask.js" */
/** @import {Rectangle} from "./rectangle.js" */
import { intersection, union } from "./rectangle.js";

const SIDE = 128;
const COST_OF_NUMBER = 16;

/**
 * @typedef {Map<number, Uint8Array | number>} Squares By index, row by row.
 * @typedef {{squares: Squares | "inverted", bytes: number}} Change
 */

export class History {
  /**
   * @param {Mask} mask
   * @param {number} [limit] Bytes that all changes may take together; the oldest are forgotten.
   */
  constructor(mask, limit = 24 * 2 ** 20) {
    this.mask = mask;
    this.limit = limit;
    this.columns = Math.ceil(mask.width / SIDE);
    /** @type {Change[]} */
    this.past = [];
    /** @type {Change[]} */
    this.future = [];
    /** @type {Squares} */
    this.touched = new Map();
  }

  /** @returns {number} Bytes held. */
  get bytes() {
    return [...this.past, ...this.future].reduce((sum, change) => sum + change.bytes, 0);
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  /**
   * Called before pixels of a rectangle change.
   * @param {Rectangle} area
   */
  touch(area) {
    const [firstColumn, firstRow] = [Math.floor(area.left / SIDE), Math.floor(area.top / SIDE)];
    for (let row = firstRow; row * SIDE < area.bottom; row++) {
      for (let column = firstColumn; column * SIDE < area.right; column++) {
        const index = row * this.columns + column;
        if (!this.touched.has(index)) this.touched.set(index, this.copied(index));
      }
    }
  }

  /** What was touched since the last time becomes one change. */
  commit() {
    if (!this.touched.size) return;
    let bytes = 0;
    for (const [index, square] of this.touched) {
      const packed = packedSquare(square);
      this.touched.set(index, packed);
      bytes += typeof packed === "number" ? COST_OF_NUMBER : packed.length;
    }
    this.add({squares: this.touched, bytes});
    this.touched = new Map();
  }

  /**
   * Take back what was touched and not yet committed.
   * @returns {Rectangle | null}
   */
  rollBack() {
    const area = this.swap(this.touched);
    this.touched = new Map();
    return area;
  }

  /** An inversion is its own opposite: nothing has to be kept. */
  addInversion() {
    this.add({squares: "inverted", bytes: COST_OF_NUMBER});
  }

  /** @returns {Rectangle | null} Where the mask changed. */
  undo() {
    return this.move(this.past, this.future);
  }

  /** @returns {Rectangle | null} Where the mask changed. */
  redo() {
    return this.move(this.future, this.past);
  }

  /** @param {Change} change */
  add(change) {
    this.future = [];
    this.past.push(change);
    let held = this.bytes;
    while (held > this.limit && this.past.length > 1) {
      held -= /** @type {Change} */ (this.past.shift()).bytes;
    }
  }

  /**
   * @param {Change[]} from
   * @param {Change[]} to
   * @returns {Rectangle | null}
   */
  move(from, to) {
    this.commit();
    const change = from.pop();
    if (!change) return null;
    to.push(change);
    if (change.squares === "inverted") {
      this.mask.invert();
      return this.mask.bounds;
    }
    const area = this.swap(change.squares);
    change.bytes = 0;
    for (const square of change.squares.values()) {
      change.bytes += typeof square === "number" ? COST_OF_NUMBER : square.length;
    }
    return area;
  }

  /**
   * @param {Squares} squares
   * @returns {Rectangle | null}
   */
  swap(squares) {
    /** @type {Rectangle | null} */
    let area = null;
    for (const [index, square] of squares) {
      squares.set(index, packedSquare(this.copied(index)));
      this.put(index, square);
      area = union(area, this.place(index));
    }
    return area;
  }

  /**
   * @param {number} index
   * @returns {Rectangle}
   */
  place(index) {
    const left = (index % this.columns) * SIDE;
    const top = Math.floor(index / this.columns) * SIDE;
    const square = {left, top, right: left + SIDE, bottom: top + SIDE};
    return /** @type {Rectangle} */ (intersection(square, this.mask.bounds));
  }

  /**
   * @param {number} index
   * @returns {Uint8Array}
   */
  copied(index) {
    const {left, top, right, bottom} = this.place(index);
    const width = right - left;
    const square = new Uint8Array(width * (bottom - top));
    for (let row = top; row < bottom; row++) {
      const start = row * this.mask.width;
      square.set(this.mask.bytes.subarray(start + left, start + right), (row - top) * width);
    }
    return square;
  }

  /**
   * @param {number} index
   * @param {Uint8Array | number} square
   */
  put(index, square) {
    const {left, top, right, bottom} = this.place(index);
    const width = right - left;
    for (let row = top; row < bottom; row++) {
      const start = row * this.mask.width;
      if (typeof square === "number") this.mask.bytes.fill(square, start + left, start + right);
      else this.mask.bytes.set(square.subarray((row - top) * width, (row - top + 1) * width), start + left);
    }
  }
}

/**
 * One number for a square of one grey.
 * @param {Uint8Array | number} square
 * @returns {Uint8Array | number}
 */
function packedSquare(square) {
  if (typeof square === "number") return square;
  const first = square[0];
  for (let i = 1; i < square.length; i++) if (square[i] !== first) return square;
  return first;
}
