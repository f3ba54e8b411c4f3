import { t } from "../i18n.js";

const STEP = 2;
const LEAP = 10;
const NEAR = 24; // CSS pixels beside it from which it is taken hold of

/** The line between two pictures: a slider from 0 to 100, moved by pointer and keyboard. */
export class Divider {
  #position = 50;

  /** @param {() => void} onMove */
  constructor(onMove) {
    this.onMove = onMove;
    this.element = document.createElement("div");
    this.element.className = "compare-divider";
    this.element.tabIndex = 0;
    const attributes = {
      role: "slider",
      "aria-label": t("Divider between the pictures"),
      "aria-orientation": "horizontal",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      "aria-valuenow": "50",
    };
    for (const [name, value] of Object.entries(attributes)) this.element.setAttribute(name, value);
    this.element.append(document.createElement("span"));
  }

  /** Percent of the width from the left. */
  get position() {
    return this.#position;
  }

  set position(position) {
    this.#position = Math.min(Math.max(position, 0), 100);
    this.element.setAttribute("aria-valuenow", String(Math.round(this.#position)));
    this.element.style.left = `${this.#position}%`;
    this.onMove();
  }

  /**
   * @param {HTMLElement} stage Gives it the focus back when it is pressed.
   * @param {AbortSignal} signal
   */
  listen(stage, signal) {
    this.element.addEventListener("keydown", (event) => this.key(event), {signal});
    stage.addEventListener("pointerdown", () => this.element.focus({preventScroll: true}), {signal});
  }

  /**
   * @param {number} x
   * @param {number} width
   */
  moveTo(x, width) {
    this.position = (100 * x) / Math.max(1, width);
  }

  /**
   * @param {number} x
   * @param {number} width
   */
  near(x, width) {
    return Math.abs(x - (width * this.#position) / 100) <= NEAR;
  }

  /** @param {boolean} visible */
  show(visible) {
    this.element.hidden = !visible;
    this.element.style.left = `${this.#position}%`;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const now = this.#position;
    /** @type {Record<string, number>} */
    const places = {
      ArrowLeft: now - STEP,
      ArrowDown: now - STEP,
      ArrowRight: now + STEP,
      ArrowUp: now + STEP,
      PageDown: now - LEAP,
      PageUp: now + LEAP,
      Home: 0,
      End: 100,
    };
    if (!Object.hasOwn(places, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    this.position = places[event.key];
  }
}
