/** @import {SfCanvas} from "./canvas.js" */
import { t } from "../i18n.js";
import { ICONS, iconButton } from "./icons.js";

/** Sizes go from 1 to this, the slider by their square root: small ones need finer steps. */
export const LARGEST_BRUSH = 1024;

/** The buttons and sliders over the picture; it shows what the canvas says and calls what the canvas can do. */
export class Toolbar {
  /** @param {SfCanvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.brush = iconButton(ICONS.brush, t("Brush (B)"), () => (canvas.tool = "brush"));
    this.eraser = iconButton(ICONS.eraser, t("Eraser (E)"), () => (canvas.tool = "eraser"));
    this.pressure = iconButton(ICONS.pressure, t("Pen pressure sets the size"), () => canvas.togglePressure());
    this.undo = iconButton(ICONS.undo, t("Undo (Ctrl+Z)"), () => canvas.undo());
    this.redo = iconButton(ICONS.redo, t("Redo (Ctrl+Shift+Z)"), () => canvas.redo());
    const sizes = {min: 1, max: Math.sqrt(LARGEST_BRUSH), step: 0.1};
    this.size = slider(t("Size"), sizes, (value) => (canvas.brushSize = value ** 2));
    const shares = {min: 0, max: 100, step: 1};
    this.softness = slider(t("Softness"), shares, (value) => (canvas.softness = value / 100));
    this.zoom = document.createElement("span");
    this.zoom.className = "canvas-zoom mono";
    this.clear = iconButton(ICONS.clear, t("Clear the mask (Delete)"), () => canvas.clear());
    this.about = document.createElement("span");
    this.about.className = "canvas-about muted";
    this.element = this.built();
    this.footer = this.builtFooter();
  }

  /** @returns {HTMLElement} */
  built() {
    const {canvas} = this;
    const bar = document.createElement("div");
    bar.className = "toolbar canvas-toolbar";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", t("Mask tools"));
    // Sliders say "change" too, and the canvas says it of its mask alone.
    for (const kind of ["input", "change"]) bar.addEventListener(kind, (event) => event.stopPropagation());
    bar.append(
      section(this.brush, this.eraser, this.pressure),
      section(this.size.element, this.softness.element),
      section(this.undo, this.redo),
      section(
        iconButton(ICONS.invert, t("Invert the mask (I)"), () => canvas.invert()),
        iconButton(ICONS.fill, t("Mask everything"), () => canvas.fill()),
        this.clear,
      ),
    );
    return bar;
  }

  /** @returns {HTMLElement} */
  builtFooter() {
    const {canvas} = this;
    const bar = document.createElement("div");
    bar.className = "canvas-footer";
    bar.append(
      this.about,
      section(
        iconButton(ICONS.zoomOut, t("Zoom out (-)"), () => canvas.zoomBy(1 / 1.25)),
        this.zoom,
        iconButton(ICONS.zoomIn, t("Zoom in (+)"), () => canvas.zoomBy(1.25)),
        iconButton(ICONS.fit, t("Fit (0)"), () => canvas.fit()),
        iconButton(ICONS.actual, t("Actual size (1)"), () => canvas.actualSize()),
      ),
    );
    return bar;
  }

  /** Show the canvas as it is. */
  update() {
    const {canvas} = this;
    for (const bar of [this.element, this.footer]) {
      for (const control of bar.querySelectorAll(/** @type {"button"} */ ("button, input"))) {
        control.disabled = !canvas.ready;
      }
    }
    this.pressure.hidden = !canvas.penSeen;
    this.brush.setAttribute("aria-pressed", String(canvas.tool === "brush"));
    this.eraser.setAttribute("aria-pressed", String(canvas.tool === "eraser"));
    this.pressure.setAttribute("aria-pressed", String(canvas.pressureSizes));
    this.undo.disabled = !canvas.canUndo;
    this.redo.disabled = !canvas.canRedo;
    const size = Math.round(canvas.brushSize);
    this.size.show(Math.sqrt(canvas.brushSize), t("{n} px", {n: size}));
    const softness = Math.round(canvas.softness * 100);
    this.softness.show(softness, `${softness} %`);
    const {width, height} = canvas.pictureSize;
    this.about.textContent = canvas.ready ? `${width} × ${height}` : "";
    this.zoom.textContent = canvas.ready ? `${Math.round(canvas.zoom * 100)} %` : "";
  }
}

/** @param {...Element} parts */
function section(...parts) {
  const group = document.createElement("div");
  group.className = "canvas-tools";
  group.append(...parts);
  return group;
}

/**
 * A labelled slider with its value in words beside it.
 * @param {string} label
 * @param {{min: number, max: number, step: number}} bounds
 * @param {(value: number) => void} onInput
 */
function slider(label, {min, max, step}, onInput) {
  const element = document.createElement("label");
  element.className = "canvas-slider";
  const name = document.createElement("span");
  name.textContent = label;
  const input = document.createElement("input");
  input.type = "range";
  input.min = String(min);
  input.max = String(max);
  input.step = String(step);
  const shown = document.createElement("output");
  shown.className = "mono";
  element.append(name, input, shown);
  input.addEventListener("input", () => onInput(Number(input.value)));
  /**
   * @param {number} value
   * @param {string} words
   */
  const show = (value, words) => {
    input.value = String(value);
    input.setAttribute("aria-valuetext", words);
    shown.textContent = words;
  };
  return {element, show};
}
