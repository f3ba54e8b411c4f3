/** @import {Point} from "./brush.js" */
/** @import {View} from "./view.js" */
import { t } from "../i18n.js";
import { keyList } from "./keys.js";

const PIXELS_SEEN = 4; // screen pixels for one of the picture from which its squares are shown

/** What is seen of the canvas: the picture, the tint over it, the brush's ring and the cross-hair. */
export class Stage {
  constructor() {
    this.element = part("div", "canvas-stage");
    this.picture = document.createElement("img");
    this.picture.className = "canvas-picture";
    this.picture.alt = "";
    this.picture.draggable = false;
    this.picture.dataset.own = ""; // the message tells that it cannot be shown
    this.overlay = document.createElement("canvas");
    this.overlay.className = "canvas-overlay";
    this.ring = part("div", "canvas-ring");
    this.crossHair = part("div", "canvas-cross-hair");
    this.message = part("p", "canvas-message muted");
    this.help = part("p", "visually-hidden");
    this.said = part("p", "visually-hidden");
    this.describe();
    this.element.append(this.picture, this.overlay, this.ring, this.crossHair, this.message);
    this.showRing(null, 0);
    this.showCrossHair(null);
  }

  describe() {
    const id = `canvas-help-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    this.help.id = id;
    this.help.textContent = keyList(t).map(([keys, what]) => `${keys.replace("mod+", "Ctrl+")}: ${what}.`).join(" ");
    this.said.setAttribute("aria-live", "polite");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.element.setAttribute("aria-label", t("Mask over the picture"));
    this.element.setAttribute("aria-describedby", id);
  }

  /**
   * @param {View} view
   * @param {number} ratio Screen pixels for one CSS pixel.
   */
  place(view, ratio) {
    const {picture} = this;
    const [x, y] = [Math.round(view.x * ratio) / ratio, Math.round(view.y * ratio) / ratio];
    picture.style.width = `${view.pictureWidth}px`;
    picture.style.height = `${view.pictureHeight}px`;
    picture.style.transform = `translate(${x}px, ${y}px) scale(${view.scale})`;
    picture.classList.toggle("canvas-squares", view.scale * ratio >= PIXELS_SEEN);
  }

  /**
   * @param {Point | null} at Its centre in the window; null hides it.
   * @param {number} diameter In CSS pixels.
   */
  showRing(at, diameter) {
    this.ring.hidden = !at;
    if (!at) return;
    this.ring.style.width = this.ring.style.height = `${Math.max(2, diameter)}px`;
    this.ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
  }

  /** @param {Point | null} at */
  showCrossHair(at) {
    this.crossHair.hidden = !at;
    if (at) this.crossHair.style.transform = `translate(${at.x}px, ${at.y}px)`;
  }

  /** @param {string} words For screen readers. */
  say(words) {
    this.said.textContent = words;
  }
}

/**
 * @param {string} tag
 * @param {string} name
 * @returns {HTMLElement}
 */
function part(tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  return element;
}
