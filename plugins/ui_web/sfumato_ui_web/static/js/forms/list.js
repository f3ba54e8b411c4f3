/** Several names, each a chip that can be taken out; and names with values, one a line. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import "./choice.js";

export class ListControl extends HTMLElement {
  #values = [];

  connectedCallback() {
    this.items = /** @type {HTMLElement} */ (this.querySelector(".list-items"));
    this.entry = this.querySelector("sf-choice");
    this.entry.addEventListener("choose", (event) => this.#add(event));
    this.entry.addEventListener("input", (event) => event.stopPropagation());
  }

  get value() { return [...this.#values]; }

  set value(values) {
    this.#values = [...(values ?? [])];
    this.items.replaceChildren(...this.#values.map((value) => this.#chip(value)));
  }

  #add(event) {
    const { value } = event.detail;
    this.entry.value = null;
    if (value && !this.#values.includes(value)) this.#change([...this.#values, value]);
  }

  #change(values) {
    this.value = values;
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #chip(value) {
    const out = h("button", { type: "button", class: "chip-remove", "aria-label": t("Remove {name}", { name: value }) }, "×");
    out.addEventListener("click", () => this.#change(this.#values.filter((other) => other !== value)));
    return h("li", { class: "chip" }, value, out);
  }
}

export class PairsControl extends HTMLElement {
  connectedCallback() { this.text = /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea")); }

  /** @returns {Record<string, unknown>} */
  get value() {
    const pairs = this.text.value.split("\n").map((line) => line.split("=")).filter(([name, ...rest]) => name.trim() && rest.length);
    return Object.fromEntries(pairs.map(([name, ...rest]) => [name.trim(), plain(rest.join("=").trim())]));
  }

  set value(pairs) {
    const written = ([name, value]) => `${name} = ${typeof value === "string" ? value : JSON.stringify(value)}`;
    this.text.value = Object.entries(pairs ?? {}).map(written).join("\n");
  }
}

/** 0.5, true and {"a": 1} mean what they say; everything else is text. @param {string} text */
function plain(text) {
  try { return JSON.parse(text); } catch { return text; }
}

customElements.define("sf-list", ListControl);
customElements.define("sf-pairs", PairsControl);
