/**
 * `<sf-picture-grid>`: any number of pictures, of which only those near the window are in the document.
 *
 * To screen readers it is a list box whose options come and go, each with its place in the whole. Fires
 * "open" (a picture is to be looked at), "select" (the selection changed), both with `detail.index`.
 */

import { t } from "/static/js/i18n.js";
import { justified, squares } from "./layout.js";
import { Selection } from "./selection.js";
import { Tile } from "./tile.js";

/** @import {Layout} from "./layout.js" */
/** @import {PictureSource} from "./source.js" */

const AHEAD = 0.6;
const AROUND = 60;
const REST = 100;
const LONG_PRESS = 450;

export class SfPictureGrid extends HTMLElement {
  selection = new Selection();
  /** @type {?PictureSource} */ #source = null;
  #layout = squares(0, 1, 1);
  #whole = false;
  #size = 200;
  #width = 0;
  #current = 0;
  /** @type {Map<number, Tile>} */ #shown = new Map();
  /** @type {Tile[]} */ #spare = [];
  #frame = 0;
  #lastTop = 0;
  #lastFrame = 0;
  #calm = 0;
  #press = 0;
  #field = document.createElement("div");
  #resize = new ResizeObserver(() => this.#measure());

  connectedCallback() {
    if (this.#field.isConnected) return;
    this.#field.className = "grid-field";
    this.#field.tabIndex = 0;
    this.#field.setAttribute("role", "listbox");
    this.#field.setAttribute("aria-multiselectable", "true");
    this.#field.setAttribute("aria-label", this.getAttribute("aria-label") ?? "");
    this.removeAttribute("aria-label");
    this.append(this.#field);
    this.#resize.observe(this);
    document.addEventListener("scroll", this.#onScroll, { capture: true, passive: true });
    this.#field.addEventListener("keydown", (event) => this.#onKey(event));
    this.#field.addEventListener("click", (event) => this.#onClick(event));
    this.#field.addEventListener("pointerdown", (event) => this.#onPress(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      this.#field.addEventListener(end, () => clearTimeout(this.#press));
    }
    this.#field.addEventListener("contextmenu", (event) => this.#press && event.preventDefault());
    this.#field.addEventListener("focus", () => this.#mark());
    this.selection.addEventListener("change", () => {
      for (const tile of this.#shown.values()) tile.select(this.selection.has(tile.id));
      this.classList.toggle("selecting", this.selection.size > 0);
    });
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    document.removeEventListener("scroll", this.#onScroll, { capture: true });
  }

  /** @param {PictureSource} source */
  set source(source) {
    this.#source = source;
    source.addEventListener("change", () => this.#arrange());
    source.addEventListener("load", () => this.#schedule());
  }

  /** Whole pictures in rows, or squares; and how large. @param {{whole: boolean, size: number}} options */
  show({ whole, size }) {
    const first = this.firstVisible;
    this.#whole = whole;
    this.#size = size;
    this.#arrange();
    this.scrollToIndex(first, "start");
  }

  get current() {
    return this.#current;
  }

  /** The picture in the upper left corner of the window. */
  get firstVisible() {
    const above = -this.#field.getBoundingClientRect().top + this.#headroom;
    return above <= 0 ? 0 : this.#layout.between(above, above)[0];
  }

  /**
   * @param {number} index
   * @param {"start" | "nearest"} block
   */
  scrollToIndex(index, block = "nearest") {
    if (!this.#source?.total) return;
    const box = this.#layout.box(Math.min(Math.max(0, index), this.#source.total - 1));
    const field = this.#field.getBoundingClientRect().top;
    const room = this.#headroom;
    const top = field + box.top, bottom = top + box.height;
    if (block === "start") scrollBy({ top: index === 0 ? -scrollY : top - room, behavior: "instant" });
    else if (top < room) scrollBy({ top: top - room, behavior: "instant" });
    else if (bottom > innerHeight - this.#footroom) {
      scrollBy({ top: bottom - innerHeight + this.#footroom, behavior: "instant" });
    }
    this.#draw();
  }

  /** Make a picture the current one. @param {number} index */
  moveTo(index) {
    if (!this.#source?.total) return;
    this.#current = Math.min(Math.max(0, index), this.#source.total - 1);
    this.scrollToIndex(this.#current);
    this.#mark();
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /** What sticks to the window's top covers this much. */
  get #headroom() {
    const bar = document.getElementById("gallery-bar");
    return bar && getComputedStyle(bar).position === "sticky" ? bar.offsetHeight + 8 : 8;
  }

  get #footroom() {
    const bar = document.querySelector(".navigation");
    return 8 + (bar && getComputedStyle(bar).position === "fixed" ? /** @type {HTMLElement} */ (bar).offsetHeight : 0);
  }

  #measure() {
    const width = this.clientWidth;
    if (width === this.#width || !width) return;
    const first = this.firstVisible;
    const known = this.#width > 0;
    this.#width = width;
    this.#arrange();
    if (known && first) this.scrollToIndex(first, "start");
  }

  #arrange() {
    if (!this.#source || !this.#width) return;
    const { total, ratios } = this.#source;
    const size = Math.min(this.#size, this.#whole ? this.#size : this.#width);
    this.#layout = this.#whole ? justified(ratios, this.#width, size) : squares(total, this.#width, size);
    this.#field.style.height = `${this.#layout.height}px`;
    this.#current = Math.min(this.#current, Math.max(0, total - 1));
    this.#spare.push(...this.#shown.values());
    this.#shown.clear();
    this.#draw();
  }

  #onScroll = () => this.#schedule();

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const top = -this.#field.getBoundingClientRect().top;
      const now = performance.now();
      const fast = Math.abs(top - this.#lastTop) > innerHeight / 2;
      const flies = fast && now - this.#lastFrame < REST;
      this.#lastTop = top;
      this.#lastFrame = now;
      this.#field.classList.toggle("flies", flies);
      if (flies) this.#later();
      else this.#draw(!fast);
    });
  }

  /** Draw once the hand rests: to draw each of the thousands that fly by would only make them stutter. */
  #later() {
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => this.#schedule(), REST);
  }

  /** Give each picture near the window a tile, first those in it; tiles stay where they are until they are needed. */
  #draw(/** @type {boolean} */ slow = true) {
    if (!this.#source) return;
    const top = -this.#field.getBoundingClientRect().top;
    const ahead = innerHeight * AHEAD;
    const [from, to] = this.#layout.between(Math.max(0, top - ahead), Math.max(0, top + innerHeight + ahead));
    const [first, end] = this.#layout.between(Math.max(0, top), Math.max(0, top + innerHeight));
    const away = [...this.#shown.keys()].filter((index) => index < from || index >= to);
    this.#fill(first, end, away);
    this.#fill(end, to, away);
    this.#fill(from, first, away);
    for (const tile of this.#spare) tile.hide();
    this.#mark();
    this.#fetch(from, to, slow);
  }

  #fill(/** @type {number} */ from, /** @type {number} */ to, /** @type {number[]} */ away) {
    const scale = Math.min(2, devicePixelRatio);
    for (let index = from; index < to; index += 1) {
      const picture = this.#source?.at(index);
      const tile = this.#shown.get(index) ?? this.#take(index, picture?.id ?? "", away);
      tile.fill(picture, scale, this.selection);
    }
  }

  /** A tile for a place: the one that shows its picture already, or any that nobody needs, or a new one. */
  #take(/** @type {number} */ index, /** @type {string} */ id, /** @type {number[]} */ away) {
    const same = id ? this.#spare.findIndex((tile) => tile.id === id) : -1;
    let tile = same >= 0 ? this.#spare.splice(same, 1)[0] : undefined;
    const gone = tile || this.#spare.length ? undefined : away.pop();
    if (gone !== undefined) {
      tile = this.#shown.get(gone);
      this.#shown.delete(gone);
    }
    tile ??= this.#spare.pop() ?? new Tile(this.#field);
    if (tile.id !== id || !id) tile.clear();
    tile.place(index, this.#source?.total ?? 0, this.#layout.box(index));
    this.#shown.set(index, tile);
    return tile;
  }

  /** Fetch what is shown and comes next; while somebody flies over thousands, only where they come to rest. */
  #fetch(/** @type {number} */ from, /** @type {number} */ to, /** @type {boolean} */ slow) {
    clearTimeout(this.#calm);
    const [first, end] = [Math.max(0, from - AROUND), Math.min(this.#source?.total ?? 0, to + AROUND)];
    let lacks = false;
    for (let index = first; index < end && !lacks; index += 1) lacks = !this.#source?.at(index);
    if (!lacks) return;
    if (slow) this.#source?.need(first, end).then(() => this.#schedule(), () => {});
    else this.#later();
  }

  #mark() {
    for (const [index, tile] of this.#shown) tile.mark(index === this.#current);
    const id = this.#shown.get(this.#current)?.element.id;
    if (id) this.#field.setAttribute("aria-activedescendant", id);
    else this.#field.removeAttribute("aria-activedescendant");
  }

  // Keyboard, mouse and touch

  #onKey(/** @type {KeyboardEvent} */ event) {
    const target = this.#targetOf(event);
    if (target !== null) {
      event.preventDefault();
      const from = this.#current;
      this.moveTo(target);
      if (event.shiftKey) this.#selectRange(from);
      return;
    }
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#tell("open", this.#current);
    } else if (event.key === " " || (event.key === "x" && !event.ctrlKey && !event.metaKey)) {
      event.preventDefault();
      this.#toggle(this.#current, event.shiftKey);
    }
  }

  #targetOf(/** @type {KeyboardEvent} */ event) {
    const page = Math.max(1, Math.floor(innerHeight / (this.#layout.box(this.#current).height + 8)) - 1);
    if (event.altKey || ((event.ctrlKey || event.metaKey) && !["Home", "End"].includes(event.key))) return null;
    switch (event.key) {
      case "ArrowRight": return this.#current + 1;
      case "ArrowLeft": return this.#current - 1;
      case "ArrowDown": return this.#layout.beside(this.#current, 1);
      case "ArrowUp": return this.#layout.beside(this.#current, -1);
      case "PageDown": return this.#far(page);
      case "PageUp": return this.#far(-page);
      case "Home": return 0;
      case "End": return (this.#source?.total ?? 1) - 1;
      default: return null;
    }
  }

  #far(/** @type {number} */ rows) {
    let index = this.#current;
    for (let step = 0; step < Math.abs(rows); step += 1) index = this.#layout.beside(index, Math.sign(rows));
    return index;
  }

  #onClick(/** @type {MouseEvent} */ event) {
    const element = /** @type {Element} */ (event.target);
    const option = element.closest("[role=option]");
    const index = option ? Number(/** @type {HTMLElement} */ (option).dataset.index) : -1;
    if (index < 0 || !this.#source?.at(index)) return;
    this.#current = index;
    this.#mark();
    if (this.#press === -1) {
      this.#press = 0;
      return;
    }
    const marking = element.closest(".tile-check") || event.shiftKey || event.ctrlKey || event.metaKey;
    if (marking || this.selection.size) this.#toggle(index, event.shiftKey);
    else this.#tell("open", index);
  }

  #onPress(/** @type {PointerEvent} */ event) {
    this.#press = 0;
    if (event.pointerType === "mouse") return;
    const option = /** @type {Element} */ (event.target).closest("[role=option]");
    if (!option) return;
    this.#press = setTimeout(() => {
      this.#toggle(Number(/** @type {HTMLElement} */ (option).dataset.index), false);
      this.#press = -1;
    }, LONG_PRESS);
  }

  #toggle(/** @type {number} */ index, /** @type {boolean} */ range) {
    const picture = this.#source?.at(index);
    if (!picture) return;
    if (range && this.selection.anchor !== null) this.#selectRange(this.selection.anchor);
    else this.selection.toggle(picture, index);
    this.#tell("select", index);
  }

  async #selectRange(/** @type {number} */ from) {
    const anchor = this.selection.anchor ?? from;
    this.selection.anchor = anchor;
    const [low, high] = [Math.min(anchor, this.#current), Math.max(anchor, this.#current)];
    const pictures = await this.#source?.all(low, high + 1);
    this.selection.add(pictures ?? []);
    this.#tell("select", this.#current);
  }

  #tell(/** @type {string} */ kind, /** @type {number} */ index) {
    this.dispatchEvent(new CustomEvent(kind, { detail: { index } }));
  }

  /** For messages to screen readers. */
  get description() {
    return t("Picture {n} of {total}", { n: this.#current + 1, total: this.#source?.total ?? 0 });
  }
}

customElements.define("sf-picture-grid", SfPictureGrid);
