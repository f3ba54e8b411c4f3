/** `<sf-picture-search>`: the search box. Fires "search" with `detail.q` while somebody types, and when they end. */

import { debounced, h, icon } from "/static/js/dom.js";
import { t } from "/static/js/i18n.js";

/** @typedef {{label: string, term: string, kind: string}} Chip */

export class SfPictureSearch extends HTMLElement {
  /** @type {HTMLInputElement} */ #box;
  #last = "";

  connectedCallback() {
    this.#box = /** @type {HTMLInputElement} */ (this.querySelector("input"));
    const tell = debounced(() => this.#tell(), 220);
    this.#box.addEventListener("input", tell);
    this.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#tell();
      this.#box.blur();
    });
  }

  get value() {
    return this.#box.value.trim();
  }

  set value(text) {
    this.#box.value = this.#last = text;
  }

  focus() {
    this.#box.focus();
    this.#box.select();
  }

  /** What is wrong with the search, or nothing. @param {string} text */
  set problem(text) {
    const place = /** @type {HTMLElement} */ (this.querySelector(".gallery-search-problem"));
    place.textContent = text;
    place.hidden = !text;
    this.#box.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** Put a term into the search, or take it out. @param {string} term */
  toggle(term) {
    const text = ` ${this.value} `;
    this.#box.value = (text.includes(` ${term} `) ? text.replace(` ${term} `, " ") : `${text}${term}`).trim();
    this.#tell();
  }

  /** @param {string} term */
  has(term) {
    return ` ${this.value} `.includes(` ${term} `);
  }

  #tell() {
    if (this.value === this.#last) return;
    this.#last = this.value;
    this.dispatchEvent(new CustomEvent("search", { detail: { q: this.value } }));
  }
}

customElements.define("sf-picture-search", SfPictureSearch);

const MOST = { model: 4, lora: 5 };
const SIGNS = {
  date: "M5 6h14v13H5zM5 10h14M9 4v3M15 4v3",
  model: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5",
  lora: "M4 12c4-8 12-8 16 0-4 8-12 8-16 0zM12 9v6",
};

/**
 * Terms that many searches name.
 * @param {{models: string[], loras: string[]}} known
 * @returns {Chip[]}
 */
export function chipsOf(known) {
  const month = new Date().toISOString().slice(0, 7);
  return [
    { kind: "date", label: t("Today"), term: "date:today" },
    { kind: "date", label: t("This month"), term: `date:${month}` },
    ...known.models.slice(0, MOST.model).map((name) => ({ kind: "model", label: name, term: termOf("model", name) })),
    ...known.loras.slice(0, MOST.lora).map((name) => ({ kind: "lora", label: name, term: termOf("lora", name) })),
  ];
}

/** A property in the language of searches. @param {string} key @param {string} value */
export function termOf(key, value) {
  return /[\s"]/.test(value) ? `${key}:"${value.replaceAll('"', "")}"` : `${key}:${value}`;
}

/** @param {Chip} chip @param {boolean} pressed @param {() => void} onclick */
export function chipButton(chip, pressed, onclick) {
  const attributes = { type: "button", class: "chip", "aria-pressed": String(pressed), onclick, title: chip.term };
  return h("button", attributes, icon(SIGNS[chip.kind]), h("span", { class: "truncate" }, chip.label));
}
