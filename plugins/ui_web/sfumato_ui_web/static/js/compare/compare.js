/**
 * `<sf-compare>`: two pictures, one over the other under a movable divider, or beside each other.
 *
 *     const compare = document.createElement("sf-compare");
 *     compare.show({src: "/before.png", label: "Before"}, {src: "/after.png", label: "After"});
 *
 * Pictures of different sizes are brought to the larger one's, so that the same place lies at the same place.
 * Zooming and moving hold for both. Attributes: `before`, `after` (addresses), `mode` ("divided" or "beside").
 */

/** @import {Point} from "../canvas/brush.js" */
import { t } from "../i18n.js";
import { ICONS, iconButton } from "../canvas/icons.js";
import { PointerInput } from "../canvas/pointer.js";
import { View } from "../canvas/view.js";
import { Divider } from "./divider.js";

/**
 * @typedef {{src: string, label?: string}} Shown
 */

export class SfCompare extends HTMLElement {
  static observedAttributes = ["before", "after", "mode"];

  /** @type {[Shown | null, Shown | null]} */
  #shown = [null, null];
  #layers = [layer("compare-first"), layer("compare-second")];
  #stage = document.createElement("div");
  #view = new View();
  #divider = new Divider(() => this.#schedule());
  #zoom = document.createElement("span");
  #modeButton = iconButton(ICONS.beside, t("Beside each other"), () => {
    this.mode = this.mode === "beside" ? "divided" : "beside";
  });
  /** @type {AbortController | null} */
  #listening = null;
  #frame = 0;
  #dividing = false;
  /** @type {Point | null} */
  #dragged = null;

  connectedCallback() {
    this.#stage.className = "compare-stage";
    this.#stage.replaceChildren(...this.#layers.map(({element}) => element), this.#divider.element);
    this.replaceChildren(this.#stage, this.#bar());
    this.#listening = new AbortController();
    const {signal} = this.#listening;
    this.#pointerInput().listen(signal);
    this.#divider.listen(this.#stage, signal);
    this.addEventListener("keydown", (event) => this.#key(event), {signal});
    this.#stage.addEventListener("dblclick", () => this.#toggleZoom(), {signal});
    for (const {picture} of this.#layers) {
      picture.addEventListener("load", () => this.#measure(), {signal});
    }
    const observer = new ResizeObserver(() => this.#resize());
    observer.observe(this.#stage);
    signal.addEventListener("abort", () => observer.disconnect());
    this.#measure();
  }

  disconnectedCallback() {
    this.#listening?.abort();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  /**
   * @param {string} name
   * @param {string | null} _old
   * @param {string | null} value
   */
  attributeChangedCallback(name, _old, value) {
    if (name === "mode") return this.#resize();
    const place = name === "before" ? 0 : 1;
    const label = place ? t("After") : t("Before");
    this.#shown[place] = value ? {src: value, label} : null;
    this.#showPictures();
  }

  /**
   * @param {Shown} before
   * @param {Shown} after
   */
  show(before, after) {
    this.#shown = [before, after];
    this.#showPictures();
  }

  /** Exchange both. */
  swap() {
    this.#shown.reverse();
    this.#showPictures();
  }

  /** @returns {"divided" | "beside"} */
  get mode() {
    return this.getAttribute("mode") === "beside" ? "beside" : "divided";
  }

  set mode(mode) {
    this.setAttribute("mode", mode);
  }

  /** Where the divider is, 0..100 from the left. */
  get position() {
    return this.#divider.position;
  }

  set position(position) {
    this.#divider.position = position;
  }

  /** Screen size of a pixel of the larger picture. */
  get zoom() {
    return this.#view.scale;
  }

  /**
   * @param {number} factor
   * @param {Point} [at] In the stage.
   */
  zoomBy(factor, at) {
    this.#view.zoomTo(this.#view.scale * factor, at && this.#inHalf(at));
    this.#schedule();
  }

  fit() {
    this.#view.fit();
    this.#schedule();
  }

  actualSize() {
    this.#view.zoomTo(1);
    this.#schedule();
  }

  #toggleZoom() {
    if (this.#view.fitted) this.actualSize();
    else this.fit();
  }

  #bar() {
    const bar = document.createElement("div");
    bar.className = "toolbar compare-bar";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", t("Comparison"));
    this.#zoom.className = "compare-zoom mono muted";
    bar.append(
      this.#modeButton,
      iconButton(ICONS.swap, t("Swap the pictures (S)"), () => this.swap()),
      this.#zoom,
      iconButton(ICONS.zoomOut, t("Zoom out (-)"), () => this.zoomBy(1 / 1.25)),
      iconButton(ICONS.zoomIn, t("Zoom in (+)"), () => this.zoomBy(1.25)),
      iconButton(ICONS.fit, t("Fit (0)"), () => this.fit()),
      iconButton(ICONS.actual, t("Actual size (1)"), () => this.actualSize()),
    );
    return bar;
  }

  #showPictures() {
    this.#layers.forEach((layer, place) => {
      const shown = this.#shown[place];
      layer.label.textContent = layer.picture.alt = shown?.label ?? "";
      layer.label.hidden = !shown?.label;
      if (shown) layer.picture.src = shown.src;
      else layer.picture.removeAttribute("src");
    });
  }

  /** Take the larger picture's size as that of both. */
  #measure() {
    const sizes = this.#layers.map(({picture}) => ({width: picture.naturalWidth, height: picture.naturalHeight}));
    const larger = sizes[0].width * sizes[0].height > sizes[1].width * sizes[1].height ? sizes[0] : sizes[1];
    if (!larger.width) return;
    const {pictureWidth, pictureHeight} = this.#view;
    const same = larger.width === pictureWidth && larger.height === pictureHeight;
    if (!same) this.#view.show(larger.width, larger.height);
    this.#schedule();
  }

  #resize() {
    const {clientWidth, clientHeight} = this.#stage;
    this.#view.resize(this.mode === "beside" ? clientWidth / 2 : clientWidth, clientHeight);
    this.#schedule();
  }

  #schedule() {
    if (this.isConnected) this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    const beside = this.mode === "beside";
    const [first, second] = this.#layers;
    for (const {picture} of this.#layers) place(picture, this.#view);
    const cut = this.#divider.position;
    first.element.style.clipPath = beside ? "" : `inset(0 ${100 - cut}% 0 0)`;
    second.element.style.clipPath = beside ? "" : `inset(0 0 0 ${cut}%)`;
    this.#divider.show(!beside);
    this.#zoom.textContent = `${Math.round(this.#view.scale * 100)} %`;
    this.#modeButton.setAttribute("aria-pressed", String(beside));
  }

  /**
   * @param {Point} at In the stage.
   * @returns {Point} In the half that it lies in, where there are two.
   */
  #inHalf(at) {
    return this.mode === "beside" && at.x >= this.#view.width ? {...at, x: at.x - this.#view.width} : at;
  }

  /** While all is seen a drag moves the divider, else the pictures. */
  #pointerInput() {
    const drag = (/** @type {Point} */ at) => {
      if (this.#dividing) this.#divider.moveTo(at.x, this.#stage.clientWidth);
      else if (this.#dragged) this.#view.panBy(at.x - this.#dragged.x, at.y - this.#dragged.y);
      this.#dragged = at;
      this.#schedule();
    };
    return new PointerInput(this.#stage, {
      begin: (at) => {
        this.#dividing = this.mode === "divided" && (this.#view.fitted || this.#divider.near(at.x, this.#stage.clientWidth));
        this.#dragged = null;
        drag(at);
      },
      extend: (samples) => drag(samples[samples.length - 1]),
      end: () => (this.#dragged = null),
      cancel: () => (this.#dragged = null),
      pan: (dx, dy) => {
        this.#view.panBy(dx, dy);
        this.#schedule();
      },
      zoom: (factor, at) => this.zoomBy(factor, at),
      size: () => {},
      hover: () => {},
      pen: () => {},
      moving: () => false,
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => void>} */
    const actions = {
      "+": () => this.zoomBy(1.25),
      "=": () => this.zoomBy(1.25),
      "-": () => this.zoomBy(1 / 1.25),
      0: () => this.fit(),
      1: () => this.actualSize(),
      s: () => this.swap(),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }
}

/** @param {string} name */
function layer(name) {
  const element = document.createElement("div");
  element.className = `compare-layer ${name}`;
  const picture = document.createElement("img");
  picture.draggable = false;
  const label = document.createElement("span");
  label.className = "compare-label";
  label.hidden = true;
  element.append(picture, label);
  return {element, picture, label};
}

/**
 * @param {HTMLImageElement} picture
 * @param {View} view
 */
function place(picture, view) {
  picture.style.width = `${view.pictureWidth}px`;
  picture.style.height = `${view.pictureHeight}px`;
  picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  const enlarged = (view.scale * view.pictureWidth) / Math.max(1, picture.naturalWidth);
  picture.classList.toggle("compare-squares", enlarged * (window.devicePixelRatio || 1) >= 6);
}

customElements.define("sf-compare", SfCompare);
