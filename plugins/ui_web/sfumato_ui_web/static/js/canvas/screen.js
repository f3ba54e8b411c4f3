/** @import {Mask} from "./mask.js" */
/** @import {Point} from "./brush.js" */
/** @import {Rectangle} from "./rectangle.js" */
import { Overlay } from "./overlay.js";
import { addRectangle } from "./rectangle.js";
import { Stage } from "./stage.js";
import { View } from "./view.js";

const REFINE_AFTER = 120; // ms of rest after which a moved view is drawn finely

/** Shows the picture, its mask and the brush: gathers what changed, and draws it once a frame. */
export class Screen {
  /** @param {() => Frame} prepare Called as a frame begins. */
  constructor(prepare) {
    this.prepare = prepare;
    this.view = new View();
    this.stage = new Stage();
    this.overlay = new Overlay(this.stage.overlay);
    this.moved = true;
    /** @type {Rectangle[]} */
    this.dirty = [];
    this.frame = 0;
    this.refining = 0;
  }

  /**
   * @typedef {{mask: Mask | null, pointer: Point | null, crossHair: Point | null, diameter: number}} Frame What is
   *   shown: no mask while there is no picture; the pointer in the window, the cross-hair and the diameter of the
   *   brush in pixels of the picture.
   */

  /** Draw in the next frame. */
  schedule() {
    if (this.stage.element.isConnected) this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** The mask has changed there. @param {Rectangle} area */
  touch(area) {
    addRectangle(this.dirty, area);
    this.schedule();
  }

  /** The view has changed: all of it is drawn. */
  moveView() {
    this.moved = true;
    this.schedule();
  }

  /** One frame: the mask takes what was painted, and the screen shows what changed. */
  draw() {
    this.frame = 0;
    const { mask, pointer, crossHair, diameter } = this.prepare();
    if (mask && this.moved) {
      this.stage.place(this.view, this.overlay.ratio);
      this.overlay.draw(mask, this.view, null, true);
      this.refineLater();
    } else if (mask) for (const area of this.dirty) this.overlay.draw(mask, this.view, area);
    this.moved = false;
    this.dirty = [];
    const at = crossHair ? this.view.toWindow(crossHair) : pointer;
    const moving = this.stage.element.classList.contains("canvas-moving");
    this.stage.showRing(mask && !moving ? at : null, diameter * this.view.scale);
    this.stage.showCrossHair(mask && crossHair ? at : null);
  }

  refineLater() {
    clearTimeout(this.refining);
    this.refining = window.setTimeout(() => {
      const { mask } = this.prepare();
      if (mask) this.overlay.draw(mask, this.view);
    }, REFINE_AFTER);
  }

  /** The window's size, or that of its pixels, may have changed. */
  resize() {
    const { clientWidth, clientHeight } = this.stage.element;
    this.view.resize(clientWidth, clientHeight);
    this.overlay.resize(clientWidth, clientHeight, window.devicePixelRatio || 1);
  }

  /** Follow the window's size and the colour scheme until the signal. @param {AbortSignal} signal @param {() => void} changed */
  watch(signal, changed) {
    const resized = new ResizeObserver(() => (this.resize(), changed()));
    resized.observe(this.stage.element);
    const read = () => (this.overlay.readTint(), changed());
    read();
    const themed = new MutationObserver(read);
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", read, { signal });
    signal.addEventListener("abort", () => {
      resized.disconnect();
      themed.disconnect();
      cancelAnimationFrame(this.frame);
      this.frame = 0;
    });
  }
}
