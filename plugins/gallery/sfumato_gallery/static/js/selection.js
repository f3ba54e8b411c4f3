/** Which pictures are selected, also those that are not on the page. Fires "change". */

/** @import {Picture} from "./source.js" */

export class Selection extends EventTarget {
  /** @type {Map<string, Picture>} */ #pictures = new Map();
  /** Where a range begins. @type {?number} */ anchor = null;

  get size() {
    return this.#pictures.size;
  }

  /** In the order in which they were selected. */
  get pictures() {
    return [...this.#pictures.values()];
  }

  get ids() {
    return [...this.#pictures.keys()];
  }

  /** @param {string} id */
  has(id) {
    return this.#pictures.has(id);
  }

  /** @param {Picture} picture @param {number} index */
  toggle(picture, index) {
    if (!this.#pictures.delete(picture.id)) this.#pictures.set(picture.id, picture);
    this.anchor = index;
    this.#tell();
  }

  /** @param {Picture[]} pictures */
  add(pictures) {
    for (const picture of pictures) this.#pictures.set(picture.id, picture);
    this.#tell();
  }

  /** @param {string[]} ids */
  remove(ids) {
    for (const id of ids) this.#pictures.delete(id);
    this.#tell();
  }

  clear() {
    this.#pictures.clear();
    this.anchor = null;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
