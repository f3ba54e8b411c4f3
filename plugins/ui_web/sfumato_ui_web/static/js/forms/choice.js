/** A combobox: names from the server, narrowed by what is typed; other text is taken as it is. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { choices, fitting } from "./choices.js";

const MOST = 200; // options drawn at once

export class ChoiceControl extends HTMLElement {
  #value = null;
  #items = [];
  #active = -1;
  #shown = [];

  connectedCallback() {
    this.input = /** @type {HTMLInputElement} */ (this.querySelector("input"));
    this.list = /** @type {HTMLElement} */ (this.querySelector("[role=listbox]"));
    if (this.input.value) this.value = this.input.value;
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("click", () => this.open());
    this.input.addEventListener("input", (event) => this.#typed(event));
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => this.#leave());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the input
    this.list.addEventListener("click", (event) => this.#clicked(event));
  }

  get source() { return this.getAttribute("source"); }

  /** @returns {string|null} */
  get value() { return this.#value; }

  set value(value) {
    this.#value = value === "" || value === undefined ? null : value;
    this.#showLabel();
    if (this.#value !== null && !this.#items.length) this.#load().then(() => this.#showLabel()).catch(() => {});
  }

  /** What holds while nothing is chosen, shown in its place. @param {string|null} name */
  async recommend(name) {
    this.input.placeholder = name ?? "";
    if (!name) return;
    await this.#load().catch(() => {});
    this.input.placeholder = this.#labelOf(name);
  }

  async #load() { this.#items = await choices.of(this.source); }

  #labelOf(value) { return this.#items.find((item) => item.value === value)?.label ?? value; }

  #showLabel() {
    if (this.contains(document.activeElement) && !this.list.hidden) return;
    if (this.input) this.input.value = this.#value === null ? "" : this.#labelOf(this.#value);
  }

  async open(typed = "") {
    try { await this.#load(); } catch { this.#items = []; }
    if (document.activeElement !== this.input) return;
    const open = this.hasAttribute("optional") && !typed ? [{ value: "", label: t("Left open"), hint: this.input.placeholder }] : [];
    this.#shown = [...open, ...fitting(this.#items, typed)].slice(0, MOST);
    this.#active = typed ? 0 : this.#shown.findIndex((item) => item.value === (this.#value ?? ""));
    this.#draw();
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #draw() {
    this.list.replaceChildren(...this.#shown.map((item, index) => this.#option(item, index)));
    this.list.hidden = !this.#shown.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.#mark();
  }

  #option(item, index) {
    const hint = item.hint ? h("span", { class: "choice-hint" }, item.hint) : null;
    const option = h("li", { role: "option", id: `${this.list.id}-${index}` }, h("span", {}, item.label), ...(hint ? [hint] : []));
    option.dataset.index = String(index);
    return option;
  }

  #mark() {
    [...this.list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === this.#active)));
    const active = this.list.children[this.#active];
    if (!active) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", active.id);
    active.scrollIntoView({ block: "nearest" });
  }

  #typed(event) {
    event.stopPropagation(); // half a name is no change of the form yet
    this.open(this.input.value);
  }

  #key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in moves && !event.ctrlKey) {
      event.preventDefault();
      if (this.list.hidden) return void this.open();
      const last = this.#shown.length - 1;
      this.#active = Math.min(last, Math.max(0, this.#active + moves[event.key]));
      this.#mark();
    } else if (event.key === "Enter" && !event.ctrlKey) {
      event.preventDefault();
      if (!this.list.hidden && this.#shown[this.#active]) this.#choose(this.#shown[this.#active].value);
      else this.#take();
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.stopPropagation();
      this.close();
      this.#showLabel();
    }
  }

  #clicked(event) {
    const option = /** @type {Element} */ (event.target).closest("[role=option]");
    if (option) this.#choose(this.#shown[Number(option.dataset.index)].value);
  }

  #choose(value) {
    this.close();
    const changed = (this.#value ?? "") !== value;
    this.#value = value === "" ? null : value;
    this.#showLabel();
    if (changed) this.dispatchEvent(new Event("input", { bubbles: true }));
    this.dispatchEvent(new CustomEvent("choose", { bubbles: true, detail: { value } }));
  }

  /** What was typed, as the name it means, or as it is: a path for example. */
  #take() {
    const typed = this.input.value.trim();
    const same = this.#items.find((item) => item.label.toLowerCase() === typed.toLowerCase() || item.value === typed);
    this.#choose(same ? same.value : typed);
  }

  #leave() {
    const untouched = this.input.value === (this.#value === null ? "" : this.#labelOf(this.#value));
    if (!untouched) this.#take();
    this.close();
  }
}

customElements.define("sf-choice", ChoiceControl);
