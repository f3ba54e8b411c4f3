/** Waiting jobs change places by dragging their grip, or by arrow keys on it. */

import { t } from "../i18n.js";

export class Reordering {
  #dragged = null;

  /** @param {HTMLElement} list @param {(id: string, before: string|null) => Promise<void>} move @param {() => void} left Called when nothing is dragged any more. @param {HTMLElement} said */
  constructor(list, move, left, said) {
    this.list = list;
    this.move = move;
    this.left = left;
    this.said = said;
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("pointerdown", (event) => this.#begin(event));
    list.addEventListener("pointermove", (event) => this.#over(event));
    list.addEventListener("pointerup", () => this.#end());
    list.addEventListener("pointercancel", () => { this.#cancel(); this.left(); });
  }

  get items() { return /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll("[data-waiting]")]); }

  async #key(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || !event.target.matches(".queue-grip")) return;
    event.preventDefault();
    const ids = this.items.map((item) => item.dataset.job);
    const id = event.target.closest("[data-job]").dataset.job;
    const at = ids.indexOf(id) + step;
    if (at < 0 || at >= ids.length) return;
    await this.move(id, (step < 0 ? ids[at] : ids[at + 1]) ?? null);
    this.list.querySelector(`[data-job="${id}"] .queue-grip`)?.focus();
    this.said.textContent = t("Now place {place} of {all}", { place: at + 1, all: ids.length });
  }

  #begin(event) {
    if (!event.target.matches(".queue-grip") || event.button) return;
    this.#dragged = event.target.closest("[data-job]");
    this.list.setPointerCapture(event.pointerId);
    this.#dragged.classList.add("dragged");
    this.first = this.#next(this.#dragged);
  }

  get busy() { return Boolean(this.#dragged); }

  #over(event) {
    if (!this.#dragged) return;
    const others = this.items.filter((item) => item !== this.#dragged);
    const below = others.find((item) => event.clientY < item.getBoundingClientRect().top + item.offsetHeight / 2);
    if (below) below.before(this.#dragged);
    else others.at(-1)?.after(this.#dragged);
  }

  #end() {
    const item = this.#dragged;
    this.#cancel();
    if (!item) return;
    if (this.#next(item) !== this.first) this.move(item.dataset.job, this.#next(item));
    else this.left();
  }

  #cancel() {
    this.#dragged?.classList.remove("dragged");
    this.#dragged = null;
  }

  #next(item) { return this.items[this.items.indexOf(item) + 1]?.dataset.job ?? null; }
}
