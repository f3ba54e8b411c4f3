/** The pictures that a search finds: a long list of which only what is looked at is fetched. */

import { api } from "/static/js/api.js";

/**
 * @typedef {{id: string, name: string, folder: string, url: string, thumbnail: string, width: number,
 *   height: number, seed: ?number, prompt: string, negative_prompt: string, model: string, loras: string[],
 *   sampler: string, created: string, favourite: boolean, score: ?number, job: string, missing: boolean,
 *   trashed: ?string}} Picture
 */

const PAGE = 100;
const AT_ONCE = 3;
const PICTURES = "/api/v1/pictures";

/** Fires "change" when the list is another one, and "load" with the range of what has come. */
export class PictureSource extends EventTarget {
  /** @type {(Picture|undefined)[]} */ #items = [];
  /** @type {number[]} */ ratios = [];
  /** @type {Record<string, string>} */ #query = {};
  /** @type {?string} */ #start = null;
  #startId = "";
  #beforeStart = 1;
  /** @type {Set<number>} */ #loading = new Set();
  #generation = 0;

  get total() {
    return this.#items.length;
  }

  get query() {
    return this.#query;
  }

  /** @param {number} index */
  at(index) {
    return this.#items[index];
  }

  /** @param {string} id */
  indexOf(id) {
    return this.#items.findIndex((item) => item?.id === id);
  }

  /**
   * Begin a list anew.
   * @param {Record<string, string>} query  parameters of the API
   */
  async open(query) {
    const generation = ++this.#generation;
    const [page, shapes] = await Promise.all([
      api.get(`${PICTURES}/`, { ...query, limit: PAGE }), api.get(`${PICTURES}/shapes`, query),
    ]);
    if (generation !== this.#generation) return;
    this.#query = query;
    this.ratios = shapes.ratios;
    this.#items = new Array(Math.max(shapes.ratios.length, page.items.length));
    page.items.forEach((/** @type {Picture} */ item, /** @type {number} */ index) => { this.#items[index] = item; });
    this.#start = page.start;
    this.#startId = page.items[0]?.id ?? "";
    this.#beforeStart = 1;
    this.#loading.clear();
    this.#changed();
  }

  /** How many pictures have come on top since the list was opened. */
  async newer() {
    const { sort, ...filters } = this.#query;
    const { count } = await api.get(`${PICTURES}/count`, filters);
    return Math.max(0, count - this.total);
  }

  /**
   * Fetch what is missing of a range; what is under way is not asked for again.
   * @param {number} from
   * @param {number} to  exclusive
   */
  async need(from, to) {
    const waiting = [];
    for (let page = Math.floor(from / PAGE); page * PAGE < Math.min(to, this.total); page += 1) {
      if (!this.#loading.has(page) && this.#lacks(page, from, to) && this.#loading.size < AT_ONCE) {
        waiting.push(this.#load(page));
      }
    }
    await Promise.all(waiting);
  }

  /** All pictures of a range, however long it takes. @param {number} from @param {number} to */
  async all(from, to) {
    for (let index = from; index < to; index += PAGE) await this.#loadRange(index, Math.min(index + PAGE, to));
    return /** @type {Picture[]} */ (this.#items.slice(from, to).filter(Boolean));
  }

  /** @param {Picture} picture */
  update(picture) {
    const index = this.indexOf(picture.id);
    if (index < 0) return;
    this.#items[index] = { .../** @type {Picture} */ (this.#items[index]), ...picture };
    this.#loaded(index, index + 1);
  }

  /** Take pictures out; where they stood, for `put`. @param {Set<string>} ids */
  remove(ids) {
    /** @type {{index: number, picture: Picture}[]} */ const places = [];
    for (let index = this.total - 1; index >= 0; index -= 1) {
      const picture = this.#items[index];
      if (picture && ids.has(picture.id)) {
        places.unshift({ index, picture });
        this.#items.splice(index, 1);
        this.ratios.splice(index, 1);
        if (picture.id === this.#startId) this.#beforeStart = 0;
      }
    }
    if (places.length) this.#changed();
    return places;
  }

  /** Put pictures where they were. @param {{index: number, picture: Picture}[]} places */
  put(places) {
    for (const { index, picture } of places) {
      this.#items.splice(index, 0, picture);
      this.ratios.splice(index, 0, Math.round((100 * picture.width) / picture.height));
      if (picture.id === this.#startId) this.#beforeStart = 1;
    }
    this.#changed();
  }

  #lacks(/** @type {number} */ page, /** @type {number} */ from, /** @type {number} */ to) {
    const end = Math.min((page + 1) * PAGE, to, this.total);
    for (let index = Math.max(page * PAGE, from); index < end; index += 1) if (!this.#items[index]) return true;
    return false;
  }

  async #load(/** @type {number} */ page) {
    this.#loading.add(page);
    try {
      await this.#loadRange(page * PAGE, Math.min((page + 1) * PAGE, this.total));
    } finally {
      this.#loading.delete(page);
    }
  }

  async #loadRange(/** @type {number} */ from, /** @type {number} */ to) {
    let first = from;
    while (first < to && this.#items[first]) first += 1;
    if (first >= to || !this.#start) return;
    const generation = this.#generation;
    const offset = first - this.#beforeStart;
    const page = await api.get(`${PICTURES}/`, { ...this.#query, cursor: this.#start, offset, limit: to - first });
    if (generation !== this.#generation || offset !== first - this.#beforeStart) return;
    page.items.forEach((/** @type {Picture} */ item, /** @type {number} */ index) => {
      if (first + index < this.total) this.#items[first + index] = item;
    });
    this.#loaded(first, first + page.items.length);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #loaded(/** @type {number} */ from, /** @type {number} */ to) {
    this.dispatchEvent(new CustomEvent("load", { detail: { from, to } }));
  }
}
