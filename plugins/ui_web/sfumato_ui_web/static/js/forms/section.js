/** A part of a form with a switch. While it is off, nothing of it belongs to the request. */

export class SectionControl extends HTMLElement {
  connectedCallback() {
    this.switch = /** @type {HTMLInputElement|null} */ (this.querySelector(":scope > .section-head .section-switch"));
    this.fold = /** @type {HTMLButtonElement} */ (this.querySelector(":scope > .section-head > .section-fold"));
    this.body = /** @type {HTMLElement} */ (this.querySelector(":scope > .section-body"));
    this.switch?.addEventListener("change", () => { this.on = this.switch.checked; });
    this.fold.addEventListener("click", () => this.#unfold(this.body.hidden));
    this.on = this.on;
  }

  get on() { return this.switch ? this.switch.checked : true; }

  set on(on) {
    if (this.switch) this.switch.checked = on;
    this.fold.hidden = !on || !this.body.children.length;
    this.classList.toggle("on", on);
    this.#unfold(on);
  }

  #unfold(open) {
    this.body.hidden = !open;
    this.fold.setAttribute("aria-expanded", String(open));
  }
}

customElements.define("sf-section", SectionControl);
