/** A number with an optional slider. The slider is curved where the range is wide, so that small values are easy to hit. */

const POSITIONS = 1000;
const WIDE = 200; // steps in the range from which the slider is curved

export class NumberControl extends HTMLElement {
  connectedCallback() {
    this.input = /** @type {HTMLInputElement} */ (this.querySelector(".number-value"));
    this.slider = /** @type {HTMLInputElement|null} */ (this.querySelector(".number-slider"));
    this.recommended = null;
    this.input.addEventListener("input", () => this.#showOnSlider());
    this.slider?.addEventListener("input", () => this.#takeFromSlider());
    if (this.input.value !== "") this.value = this.input.valueAsNumber; // "2.0" becomes "2"
    this.#showOnSlider();
  }

  get #low() { return Number(this.input.min || 0); }
  get #high() { return Number(this.input.max || 1); }
  get #step() { return Number(this.input.step) || 1; }
  get #bend() { return (this.#high - this.#low) / this.#step > WIDE ? 3 : 1; }

  /** @returns {number|null|undefined} null: left open; undefined: what was typed is no number */
  get value() {
    if (this.input.validity.badInput) return undefined;
    if (this.input.value === "") return null;
    return this.input.valueAsNumber;
  }

  set value(value) {
    this.input.value = value === null || value === undefined ? "" : String(Number(Number(value).toPrecision(12)));
    this.#showOnSlider();
  }

  /** What holds while the number is left open, shown in its place. @param {number|null} value */
  recommend(value) {
    this.recommended = value;
    this.input.placeholder = value === null || value === undefined ? "" : String(value);
    this.#showOnSlider();
  }

  #showOnSlider() {
    this.classList.toggle("open", this.input.value === "");
    if (!this.slider) return;
    const value = this.value ?? this.recommended ?? this.#low;
    const share = (value - this.#low) / (this.#high - this.#low || 1);
    const position = Math.min(1, Math.max(0, share)) ** (1 / this.#bend);
    this.slider.value = String(Math.round(position * POSITIONS));
    this.slider.style.setProperty("--filled", `${position * 100}%`);
  }

  #takeFromSlider() {
    const share = (Number(this.slider.value) / POSITIONS) ** this.#bend;
    const steps = Math.round((share * (this.#high - this.#low)) / this.#step);
    this.value = Math.min(this.#high, this.#low + steps * this.#step);
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

customElements.define("sf-number", NumberControl);
