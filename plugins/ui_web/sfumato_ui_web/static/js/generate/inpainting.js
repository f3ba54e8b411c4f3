/** The canvas on which a mask is painted, while the mode is "inpaint". */

import { one } from "../dom.js";
import { fieldAt, setValue, valueOf } from "../forms/form.js";
import { addressOf, upload } from "../forms/picture.js";

export class Inpainting {
  #shown = "";
  #taken = ""; // the mask that was uploaded last

  /** @param {HTMLElement} place @param {import("./settings_form.js").SettingsForm} form */
  constructor(place, form) {
    this.place = place;
    this.form = form;
    form.addEventListener("change", () => this.#follow());
    form.addEventListener("mode", () => this.#follow());
  }

  get active() { return this.form.mode === "inpaint"; }

  async #follow() {
    const field = this.active ? fieldAt(this.form.root, "img2img.image") : null;
    const path = field ? valueOf(field) : null;
    const source = path ? addressOf(path) : "";
    this.place.hidden = !source;
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

/** A picture's size for the form. @param {import("./settings_form.js").SettingsForm} form @param {{width?: number, height?: number}} size */
export function takeSize(form, { width, height }) {
  if (!width || !height) return;
  const fitting = (side) => Math.max(64, Math.round(side / 8) * 8);
  form.set("width", fitting(width));
  form.set("height", fitting(height));
}

export const placeOf = (root) => one(".stage-canvas", root);
