/**
 * `<sf-canvas>`: a picture with a mask painted over it, for inpainting.
 *
 *     const canvas = document.createElement("sf-canvas");
 *     canvas.src = "/api/v1/uploads/abc";       // an address, or a Blob
 *     canvas.addEventListener("change", () => ...);
 *     const png = await canvas.maskBlob();      // the picture's size, white is painted anew
 *
 * Attributes: `src`; `keep`, a name under which the browser keeps the mask, so that it is there again after a
 * reload (without it nothing is kept). Events: "load" when the picture is shown, "error" when it cannot be,
 * "change" after each change of the mask.
 */

/** @import {Point} from "./brush.js" */
/** @import {Rectangle} from "./rectangle.js" */
/** @import {WindowSample} from "./pointer.js" */
import { t } from "../i18n.js";
import { recall, remember } from "../state.js";
import { MaskEditor } from "./editor.js";
import { MaskKeeper } from "./keeper.js";
import { KeyInput } from "./keys.js";
import { PictureSource } from "./picture.js";
import { PointerInput } from "./pointer.js";
import { Screen } from "./screen.js";
import { LARGEST_BRUSH, Toolbar } from "./toolbar.js";

export class SfCanvas extends HTMLElement {
  static observedAttributes = ["src"];

  /** @type {string | Blob | null} */
  #source = null;
  /** @type {"brush" | "eraser"} */
  #tool = "brush";
  /** @type {MaskEditor} */
  #editor = new MaskEditor(1, 1);
  #screen = new Screen(() => this.#shown());
  #view = this.#screen.view;
  #stage = this.#screen.stage;
  #picture = new PictureSource(this.#stage.picture);
  #keeper = new MaskKeeper();
  #keys = new KeyInput(this);
  /** @type {Toolbar | null} */
  #toolbar = null;
  /** @type {AbortController | null} */
  #listening = null;
  /** @type {WindowSample[]} */
  #samples = [];
  /** @type {Point | null} */
  #pointer = null;
  /** @type {Point | null} In pixels of the picture. */
  #crossHair = null;
  #penSeen = false;
  #settings = {size: 0, softness: 0.2, pressure: true};

  /** Whether a picture is shown that can be painted on. */
  ready = false;

  connectedCallback() {
    Object.assign(this.#settings, recall("canvas") ?? {});
    this.#toolbar ??= new Toolbar(this);
    const {element, help, said} = this.#stage;
    this.replaceChildren(this.#toolbar.element, element, this.#toolbar.footer, help, said);
    this.#listening = new AbortController();
    const {signal} = this.#listening;
    this.#pointerInput().listen(signal);
    this.#keys.listen(element, signal);
    element.addEventListener("blur", () => this.#showCrossHair(null), {signal});
    window.addEventListener("pagehide", () => this.#keeper.now(), {signal});
    this.#screen.watch(signal, () => this.#viewMoved());
    this.#applySettings();
    this.#message();
  }

  disconnectedCallback() {
    this.#keeper.now();
    this.#listening?.abort();
  }

  /** @param {string} _name @param {string | null} _old @param {string | null} value */
  attributeChangedCallback(_name, _old, value) {
    this.src = value;
  }

  /** @returns {string | Blob | null} */
  get src() {
    return this.#source;
  }

  /** A new picture begins with an empty mask, or the one kept for it. */
  set src(source) {
    if (source === this.#source) return;
    this.#keeper.now();
    this.#source = source || null;
    this.#load();
  }

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    this.#tool = tool;
    this.#stage.say(tool === "brush" ? t("Brush") : t("Eraser"));
    this.#toolbar?.update();
  }

  /** Diameter in pixels of the picture. */
  get brushSize() {
    return this.#editor.size;
  }

  set brushSize(size) {
    this.#changeSettings({size: Math.min(Math.max(size, 1), LARGEST_BRUSH)});
  }

  /** Share of the brush's radius that fades out, 0..1. */
  get softness() {
    return this.#settings.softness;
  }

  set softness(softness) {
    this.#changeSettings({softness: Math.min(Math.max(softness, 0), 1)});
  }

  get pressureSizes() {
    return this.#settings.pressure;
  }

  /** Whether a pen was used, so that its pressure matters. */
  get penSeen() {
    return this.#penSeen;
  }

  get zoom() {
    return this.#view.scale;
  }

  get canUndo() {
    return this.ready && this.#editor.history.canUndo;
  }

  get canRedo() {
    return this.ready && this.#editor.history.canRedo;
  }

  /** Bytes that undo and redo take. */
  get historyBytes() {
    return this.#editor.history.bytes;
  }

  /** Width and height of the picture in pixels; 0 while there is none. */
  get pictureSize() {
    const {width, height} = this.#editor.mask;
    return this.ready ? {width, height} : {width: 0, height: 0};
  }

  /** @returns {boolean} Whether nothing is masked. */
  isEmpty() {
    return this.#editor.mask.isEmpty();
  }

  /** @returns {Promise<Blob>} PNG of the picture's size; white is painted anew. */
  maskBlob() {
    return this.#editor.mask.toBlob();
  }

  /** @param {Blob} blob A picture, brought to this one's size; white is painted anew. */
  async setMask(blob) {
    await this.#editor.read(blob);
    this.#changed(t("Mask loaded"));
  }

  clear() {
    this.#editor.fill(0);
    this.#changed(t("Mask cleared"));
  }

  fill() {
    this.#editor.fill(255);
    this.#changed(t("Everything is masked"));
  }

  invert() {
    this.#editor.invert();
    this.#changed(t("Mask inverted"));
  }

  undo() {
    const area = this.#editor.history.undo();
    if (area) this.#changed(t("Undone"), area);
  }

  redo() {
    const area = this.#editor.history.redo();
    if (area) this.#changed(t("Redone"), area);
  }

  togglePressure() {
    this.#changeSettings({pressure: !this.#settings.pressure});
  }

  /** @param {number} factor Of the brush's size. */
  sizeBy(factor) {
    const size = this.brushSize * factor;
    this.brushSize = Math.abs(size - this.brushSize) < 1 ? this.brushSize + Math.sign(factor - 1) : size;
  }

  /** @param {number} factor @param {Point} [at] In the window. */
  zoomBy(factor, at) {
    this.#view.zoomTo(this.#view.scale * factor, at);
    this.#viewMoved();
  }

  fit() {
    this.#view.fit();
    this.#viewMoved();
  }

  actualSize() {
    this.#view.zoomTo(1);
    this.#viewMoved();
  }

  /** @param {number} dx In pixels of the picture. @param {number} dy */
  moveCrossHair(dx, dy) {
    const {width, height} = this.#editor.mask;
    const at = this.#crossHair ?? this.#startOfCrossHair();
    const to = {
      x: Math.min(Math.max(at.x + dx, 0.5), width - 0.5),
      y: Math.min(Math.max(at.y + dy, 0.5), height - 0.5),
    };
    this.#showCrossHair(to);
    this.#view.reveal(to);
    if (this.#keys.space) this.#paint(this.#editor.extend({...to, pressure: 1}));
    this.#stage.say(t("{x} across, {y} down", {x: Math.round(to.x), y: Math.round(to.y)}));
    this.#viewMoved();
  }

  /** Straight from where painting last ended. */
  lineToCrossHair() {
    if (!this.#crossHair) return;
    const how = {erase: this.#tool === "eraser", straight: true};
    this.#paint(this.#editor.begin({...this.#crossHair, pressure: 1}, how));
    this.#endStroke();
  }

  spacePressed() {
    if (this.#crossHair) {
      const erase = this.#tool === "eraser";
      this.#paint(this.#editor.begin({...this.#crossHair, pressure: 1}, {erase}));
    } else this.#stage.element.classList.add("canvas-moving");
  }

  spaceReleased() {
    this.#stage.element.classList.remove("canvas-moving");
    if (this.#crossHair) this.#endStroke();
  }

  #startOfCrossHair() {
    const {width, height} = this.#view;
    const at = this.#view.toPicture(this.#pointer ?? {x: width / 2, y: height / 2});
    return {x: Math.floor(at.x) + 0.5, y: Math.floor(at.y) + 0.5};
  }

  /** @param {Point | null} at In pixels of the picture. */
  #showCrossHair(at) {
    this.#crossHair = at;
    this.#screen.schedule();
  }

  #pointerInput() {
    const inPicture = (/** @type {WindowSample} */ sample) => ({...sample, ...this.#view.toPicture(sample)});
    return new PointerInput(this.#stage.element, {
      begin: (sample, {erase, straight}) => {
        if (!this.ready) return;
        this.#showCrossHair(null);
        const how = {erase: erase || this.#tool === "eraser", straight};
        this.#paint(this.#editor.begin(inPicture(sample), how));
      },
      extend: (samples) => {
        this.#samples.push(...samples);
        this.#screen.schedule();
      },
      end: () => this.ready && this.#endStroke(),
      cancel: () => {
        this.#samples = [];
        this.#paint(this.#editor.cancel());
      },
      pan: (dx, dy) => {
        this.#paintSamples();
        this.#view.panBy(dx, dy);
        this.#viewMoved();
      },
      zoom: (factor, at) => this.ready && this.zoomBy(factor, at),
      size: (factor) => this.sizeBy(factor),
      hover: (at) => this.#hover(at),
      pen: () => {
        if (this.#penSeen) return;
        this.#penSeen = true;
        this.#toolbar?.update();
      },
      moving: () => this.#keys.space && !this.#crossHair,
    });
  }

  /** @param {Point | null} at */
  #hover(at) {
    this.#pointer = at;
    if (!this.#keys.space) this.#crossHair = null;
    this.#screen.schedule();
  }

  /** Samples wait for the next frame, which paints them all and then the screen once. */
  #paintSamples() {
    this.#samples.forEach((sample, place) => {
      const last = place === this.#samples.length - 1;
      this.#paint(this.#editor.extend({...sample, ...this.#view.toPicture(sample)}, last));
    });
    this.#samples = [];
  }

  #endStroke() {
    this.#paintSamples();
    this.#editor.end();
    this.#changed();
  }

  /** @param {Rectangle | null} area */
  #paint(area) {
    if (area) this.#screen.touch(area);
  }

  /**
   * @param {string} [words] What happened, for screen readers.
   * @param {Rectangle} [area] Where it is not drawn yet.
   */
  #changed(words, area = words ? this.#editor.mask.bounds : undefined) {
    if (words) this.#stage.say(words);
    this.#paint(area ?? null);
    this.#toolbar?.update();
    this.#keeper.changed(this.getAttribute("keep"), this.#editor.mask);
    this.dispatchEvent(new Event("change", {bubbles: true}));
  }

  #viewMoved() {
    this.#toolbar?.update();
    this.#screen.moveView();
  }

  /** What the screen shows now. */
  #shown() {
    this.#paintSamples();
    const mask = this.ready ? this.#editor.mask : null;
    return {mask, pointer: this.#pointer, crossHair: this.#crossHair, diameter: this.brushSize};
  }

  /** @param {Partial<{size: number, softness: number, pressure: boolean}>} changes */
  #changeSettings(changes) {
    Object.assign(this.#settings, changes);
    remember("canvas", this.#settings);
    this.#applySettings();
  }

  #applySettings() {
    const {width, height} = this.#editor.mask;
    this.#editor.size = this.#settings.size || Math.max(4, Math.round(Math.min(width, height) / 10));
    this.#editor.hardness = 1 - this.#settings.softness;
    this.#editor.pressureSizes = this.#settings.pressure;
    this.#toolbar?.update();
    this.#screen.schedule();
  }

  async #load() {
    this.ready = false;
    this.#samples = [];
    this.#message();
    const outcome = await this.#picture.load(this.#source);
    if (outcome === "failed") this.#failed();
    if (outcome !== "shown") return;
    const {naturalWidth, naturalHeight} = this.#stage.picture;
    const editor = new MaskEditor(naturalWidth, naturalHeight);
    const loads = this.#picture.loads;
    await this.#keeper.restore(this.getAttribute("keep"), editor.mask);
    if (loads === this.#picture.loads) this.#begin(editor);
  }

  /** @param {MaskEditor} editor */
  #begin(editor) {
    this.#editor = editor;
    this.ready = true;
    this.#view.show(editor.mask.width, editor.mask.height);
    this.#applySettings();
    this.#message();
    this.#viewMoved();
    this.dispatchEvent(new Event("load"));
  }

  #failed() {
    this.#message(t("This picture cannot be shown."));
    this.dispatchEvent(new Event("error"));
  }

  /** @param {string} [words] */
  #message(words) {
    const {element, message, picture, overlay} = this.#stage;
    message.textContent = words ?? (this.#source ? t("Loading the picture…") : t("No picture yet."));
    message.hidden = this.ready;
    picture.hidden = overlay.hidden = !this.ready;
    element.classList.toggle("canvas-ready", this.ready);
    this.#toolbar?.update();
  }
}

customElements.define("sf-canvas", SfCanvas);
