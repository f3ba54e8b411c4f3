/** @import {SfCanvas} from "./canvas.js" */
import { t } from "../i18n.js";
import { shortcut } from "../shortcuts.js";

/**
 * What keys do while the picture has the focus: for the list of shortcuts, and the description that screen
 * readers give.
 * @param {(text: string) => string} t
 * @returns {[string, string][]}
 */
export function keyList(t) {
  return [
    ["b", t("Brush")],
    ["e", t("Eraser")],
    ["x", t("Brush or eraser, in turn")],
    ["[", t("Smaller brush")],
    ["]", t("Larger brush")],
    ["{", t("Harder brush")],
    ["}", t("Softer brush")],
    ["mod+z", t("Undo")],
    ["mod+shift+z", t("Redo")],
    ["i", t("Invert the mask")],
    ["delete", t("Clear the mask")],
    ["+", t("Zoom in")],
    ["-", t("Zoom out")],
    ["0", t("Fit")],
    ["1", t("Actual size")],
    ["arrowright", t("Move the cross-hair, as the other arrows do; with Shift by one pixel")],
    ["space", t("Paint at the cross-hair; held, arrows draw. With the mouse: move the picture")],
    ["enter", t("Straight line from the last place to the cross-hair")],
  ];
}

/**
 * Put the keys into the list of shortcuts for as long as the canvas is there.
 * @param {HTMLElement} stage
 * @param {AbortSignal} signal
 */
export function listKeys(stage, signal) {
  for (const [keys, text] of keyList(t)) {
    // What they do is done by `KeyInput`, before a key gets to the page.
    const remove = shortcut(keys, text, () => {}, { scope: stage, group: t("Mask") });
    signal.addEventListener("abort", remove);
  }
}

const ARROWS = Object.freeze({
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
});

/** Keyboard of the canvas; listens on the picture's stage alone, so that other pages' keys stay theirs. */
export class KeyInput {
  /** @param {SfCanvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.space = false;
  }

  /**
   * @param {HTMLElement} stage
   * @param {AbortSignal} signal
   */
  listen(stage, signal) {
    stage.addEventListener("keydown", (event) => this.down(event), {signal});
    stage.addEventListener("keyup", (event) => event.key === " " && this.release(), {signal});
    stage.addEventListener("blur", () => this.release(), {signal});
    listKeys(stage, signal);
  }

  /** @param {KeyboardEvent} event */
  down(event) {
    if (!this.canvas.ready || event.altKey) return;
    const handled = event.ctrlKey || event.metaKey ? this.command(event) : this.plain(event);
    if (!handled) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event */
  command(event) {
    const key = event.key.toLowerCase();
    if (key === "z") return event.shiftKey ? this.canvas.redo() : this.canvas.undo(), true;
    if (key === "y") return this.canvas.redo(), true;
    return false;
  }

  /** @param {KeyboardEvent} event */
  plain(event) {
    const {canvas} = this;
    const arrow = ARROWS[/** @type {keyof typeof ARROWS} */ (event.key)];
    if (arrow) {
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(canvas.brushSize / 4));
      canvas.moveCrossHair(arrow[0] * step, arrow[1] * step);
      return true;
    }
    if (event.key === " ") return this.press(event.repeat), true;
    const actions = this.actions();
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!Object.hasOwn(actions, name)) return false;
    actions[name]();
    return true;
  }

  /** @returns {Record<string, () => void>} */
  actions() {
    const {canvas} = this;
    return {
      b: () => (canvas.tool = "brush"),
      e: () => (canvas.tool = "eraser"),
      x: () => (canvas.tool = canvas.tool === "brush" ? "eraser" : "brush"),
      "[": () => canvas.sizeBy(1 / 1.15),
      "]": () => canvas.sizeBy(1.15),
      "{": () => (canvas.softness -= 0.1),
      "}": () => (canvas.softness += 0.1),
      i: () => canvas.invert(),
      Delete: () => canvas.clear(),
      Backspace: () => canvas.clear(),
      "+": () => canvas.zoomBy(1.25),
      "=": () => canvas.zoomBy(1.25),
      "-": () => canvas.zoomBy(1 / 1.25),
      0: () => canvas.fit(),
      1: () => canvas.actualSize(),
      Enter: () => canvas.lineToCrossHair(),
    };
  }

  /** @param {boolean} repeated */
  press(repeated) {
    if (repeated) return;
    this.space = true;
    this.canvas.spacePressed();
  }

  release() {
    if (!this.space) return;
    this.space = false;
    this.canvas.spaceReleased();
  }
}
