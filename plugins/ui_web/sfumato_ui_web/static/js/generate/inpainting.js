/** The canvas on which a mask is painted, while the mode is "inpaint"; it takes turns with the picture that comes of it. */

import { all, one } from "../dom.js";
import { fieldAt, setValue, valueOf } from "../forms/form.js";
import { addressOf, upload } from "../forms/picture.js";

const SOFTENED = 512; // shortest side of a picture from which the mask is softened as much as the schema says

export class Inpainting {
  #shown = "";
  #suited = null; // the mask's softness that was set for a small picture
  #taken = ""; // the mask that was uploaded last

  /** @param {HTMLElement} stage @param {import("./settings_form.js").SettingsForm} form */
  constructor(stage, form) {
    this.stage = stage;
    this.place = one(".stage-canvas", stage);
    this.views = one(".stage-views", stage);
    this.form = form;
    form.addEventListener("change", () => this.#follow());
    form.addEventListener("mode", () => this.#follow());
    this.views.addEventListener("change", (event) => this.look(event.target.value));
    this.look("mask");
  }

  get active() { return this.form.mode === "inpaint"; }

  /** Which of both is shown. @param {"mask"|"picture"} view */
  look(view) {
    this.stage.dataset.view = view;
    for (const choice of all("input", this.views)) choice.checked = choice.value === view;
  }

  /** On a small picture a mask as soft as on a large one would be next to nothing. @param {{width?: number, height?: number}} size */
  suit({ width, height }) {
    const field = fieldAt(this.form.root, "inpaint.blur");
    if (!width || !height || !field) return;
    const usual = JSON.parse(field.dataset.default);
    if (![usual, this.#suited].includes(valueOf(field))) return;
    const share = Math.min(1, Math.min(width, height) / SOFTENED);
    this.#suited = Math.max(Math.round(share * usual * 2) / 2, 0.5);
    setValue(this.form.root, "inpaint.blur", this.#suited);
  }

  async #follow() {
    const field = this.active ? fieldAt(this.form.root, "img2img.image") : null;
    const path = field ? valueOf(field) : null;
    const source = path ? addressOf(path) : "";
    this.place.hidden = this.views.hidden = !source;
    if (!source || source === this.#shown) return;
    this.#shown = source;
    await import("../canvas/canvas.js");
    this.canvas ??= this.#made();
    this.canvas.src = source;
  }

  #made() {
    const canvas = document.createElement("sf-canvas");
    canvas.setAttribute("keep", "inpaint");
    this.place.replaceChildren(canvas);
    return canvas;
  }

  /** Upload what was painted and put it into the form. @returns {Promise<boolean>} Whether there is a mask where one is needed. */
  async takeMask() {
    if (!this.active) return true;
    const { root } = this.form;
    const painted = this.canvas?.ready && !this.canvas.isEmpty();
    if (painted) {
      this.#taken = (await upload(await this.canvas.maskBlob())).path;
      setValue(root, "inpaint.mask", this.#taken);
    } else if (this.#taken && valueOf(fieldAt(root, "inpaint.mask")) === this.#taken) setValue(root, "inpaint.mask", null);
    return painted || !valueOf(fieldAt(root, "img2img.image")) || Boolean(valueOf(fieldAt(root, "inpaint.mask")));
  }
}

const SIDES = 16; // pixels, of which nearly all models need a multiple
const LARGEST = 4; // times the pixels that the model draws best

/**
 * A picture's size for the form; that of a photo is brought to what the model can draw.
 * @param {import("./settings_form.js").SettingsForm} form @param {{width?: number, height?: number}} size
 */
export function takeSize(form, { width, height }) {
  if (!width || !height) return;
  const best = (form.recommended.width ?? width) * (form.recommended.height ?? height);
  const scale = width * height > LARGEST * best ? Math.sqrt(best / (width * height)) : 1;
  const fitting = (side) => Math.max(1, Math.round((side * scale) / SIDES)) * SIDES;
  form.set("width", fitting(width));
  form.set("height", fitting(height));
}
