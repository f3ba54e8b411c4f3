/** One tile of the grid, used for one picture after another. */

import { h, icon } from "/static/js/dom.js";
import { number, t } from "/static/js/i18n.js";

/** @import {Box} from "./layout.js" */
/** @import {Picture} from "./source.js" */
/** @import {Selection} from "./selection.js" */

const CHECK = "M5 12.5 10 17 19 7";
const HEART = "M12 20 4.6 12.6a4.6 4.6 0 0 1 6.5-6.5l.9.9.9-.9a4.6 4.6 0 0 1 6.5 6.5z";
const SIZES = [128, 256, 512];
let count = 0;

export class Tile {
  id = "";
  #source = "";
  #width = 0;
  #height = 0;
  /** @type {?Picture} */ #picture = null;
  #image = /** @type {HTMLImageElement} */ (h("img", { alt: "", decoding: "async", draggable: "false", dataset: { own: "" } }));
  element = h(
    "div",
    { class: "tile", role: "option", id: `tile-${++count}`, "aria-label": t("Loading …"), "aria-selected": "false" },
    this.#image,
    h("span", { class: "tile-check", "aria-hidden": "true" }, icon(CHECK)),
    h("span", { class: "tile-heart", "aria-hidden": "true" }, icon(HEART)),
    h("span", { class: "tile-score", "aria-hidden": "true" }),
  );

  constructor(/** @type {HTMLElement} */ field) {
    this.#image.addEventListener("load", () => this.element.classList.add("loaded"));
    this.#image.addEventListener("error", () => this.#source && this.element.classList.add("broken"));
    field.append(this.element);
  }

  /** @param {number} index @param {number} total @param {Box} box */
  place(index, total, box) {
    const { element } = this;
    if (element.hidden) element.hidden = false;
    element.dataset.index = String(index);
    element.ariaPosInSet = String(index + 1);
    element.ariaSetSize = String(total);
    element.style.transform = `translate(${box.left}px, ${box.top}px)`;
    if (box.width !== this.#width || box.height !== this.#height) {
      element.style.width = `${box.width}px`;
      element.style.height = `${box.height}px`;
      [this.#width, this.#height] = [box.width, box.height];
    }
    this.#picture = null;
  }

  /** Show a picture, or its place while it is not known yet. @param {Picture | undefined} picture @param {number} scale @param {Selection} selection */
  fill(picture, scale, selection) {
    if (!picture || picture === this.#picture) return;
    this.#picture = picture;
    this.id = picture.id;
    const wanted = SIZES.find((size) => size >= Math.max(this.#width, this.#height) * scale * 0.8) ?? 512;
    const source = picture.thumbnail.replace(/size=\d+/, `size=${wanted}`);
    if (source !== this.#source) {
      this.#source = source;
      this.element.classList.remove("broken"); // a smaller one is shown until this one has come
      this.#image.src = source;
    }
    const [, , , score] = this.element.children;
    score.textContent = picture.score === null ? "" : number(picture.score, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this.element.classList.toggle("favourite", picture.favourite);
    this.element.ariaLabel = name(picture);
    this.select(selection.has(picture.id));
  }

  select(/** @type {boolean} */ selected) {
    this.element.ariaSelected = String(selected);
    this.element.classList.toggle("selected", selected);
  }

  mark(/** @type {boolean} */ current) {
    this.element.classList.toggle("current", current);
  }

  /** Make ready for another picture. */
  clear() {
    if (!this.id) return;
    this.#picture = null;
    this.id = this.#source = "";
    this.#image.removeAttribute("src");
    this.element.classList.remove("loaded", "broken", "favourite", "selected", "current");
    this.element.ariaLabel = t("Loading …");
    this.element.ariaSelected = "false";
  }

  hide() {
    if (!this.element.hidden) this.element.hidden = true;
  }
}

/** What a screen reader says of a picture. */
function name(/** @type {Picture} */ picture) {
  const words = picture.prompt.replace(/\s+/g, " ").slice(0, 160) || picture.name;
  return picture.favourite ? t("{name}, favourite", { name: words }) : words;
}
