/** `<dialog>` over the page: one picture large, what it tells beside it, and what can be done with it. */

import { api } from "/static/js/api.js";
import { fill, h, icon } from "/static/js/dom.js";
import { t } from "/static/js/i18n.js";
import { recall, remember } from "/static/js/state.js";
import * as actions from "./actions.js";
import { detailsOf } from "./details.js";
import { Zoom } from "./zoom.js";

/** @import {Picture, PictureSource} from "./source.js" */

const SIGNS = {
  back: "M15 5l-7 7 7 7", forward: "M9 5l7 7-7 7", close: "M6 6l12 12M18 6L6 18",
  heart: "M12 20 4.6 12.6a4.6 4.6 0 0 1 6.5-6.5l.9.9.9-.9a4.6 4.6 0 0 1 6.5 6.5z",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13", download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01", restore: "M4 12a8 8 0 1 0 3-6.2M4 4v5h5",
};

/** Fires "move" with `detail.picture`, "close", and "search" with `detail.term`. */
export class Viewer extends EventTarget {
  #index = -1;
  #id = "";
  #image = /** @type {HTMLImageElement} */ (h("img", { class: "viewer-picture", alt: "", draggable: "false" }));
  #stage = h("div", { class: "viewer-stage" }, this.#image);
  #title = h("h2", { class: "viewer-title truncate", id: "viewer-title" });
  #place = h("span", { class: "muted viewer-place", role: "status" });
  #facts = h("div", { class: "viewer-facts" });
  #buttons = h("div", { class: "viewer-actions" });
  #panel = h("aside", { class: "viewer-panel", "aria-label": t("About this picture") }, this.#buttons, this.#facts);
  #heart = this.#button(SIGNS.heart, t("Favourite"), () => this.#favourite(), "heart");
  #info = this.#button(SIGNS.info, t("About this picture"), () => this.#togglePanel());
  #trash = this.#button(SIGNS.trash, t("Move to the trash"), () => this.#throwAway());
  #zoom = new Zoom(this.#stage, this.#image);
  /** @type {HTMLDialogElement} */ dialog;

  /** @param {PictureSource} source */
  constructor(source) {
    super();
    this.source = source;
    const head = h("header", { class: "viewer-head" }, this.#title, this.#place, h("span", { class: "viewer-spacer" }), this.#heart,
      this.#button(SIGNS.download, t("Download"), () => this.picture && actions.download([this.picture])), this.#trash, this.#info,
      this.#button(SIGNS.close, t("Close"), () => this.dialog.close()));
    this.#stage.append(this.#button(SIGNS.back, t("Picture before"), () => this.step(-1), "viewer-step before"),
      this.#button(SIGNS.forward, t("Next picture"), () => this.step(1), "viewer-step after"));
    this.dialog = /** @type {HTMLDialogElement} */ (h("dialog", { class: "viewer", "aria-labelledby": "viewer-title" }, head, this.#stage, this.#panel));
    this.dialog.classList.toggle("without-panel", recall("gallery.panel") === false || innerWidth < 760);
    this.#info.setAttribute("aria-pressed", String(!this.dialog.classList.contains("without-panel")));
    this.dialog.addEventListener("close", () => this.dispatchEvent(new Event("close")));
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.#image.addEventListener("load", () => this.#image.classList.remove("waiting"));
    this.#swipes();
    document.body.append(this.dialog);
  }

  get picture() {
    return this.source.at(this.#index);
  }

  get index() {
    return this.#index;
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** @param {number} index */
  async open(index) {
    if (!this.source.at(index)) await this.source.all(index, index + 1);
    if (!this.source.at(index)) return;
    this.#index = index;
    if (!this.dialog.open) this.dialog.showModal();
    this.#show();
  }

  close() {
    this.dialog.close();
  }

  /** @param {number} by */
  step(by) {
    const next = this.#index + by;
    if (next >= 0 && next < this.source.total) void this.open(next);
  }

  async #show() {
    const picture = this.picture;
    if (!picture) return;
    this.#zoom.reset();
    if (this.#id !== picture.id) {
      this.#id = picture.id;
      this.#image.classList.add("waiting");
      this.#image.src = picture.url;
      this.#image.alt = picture.prompt.slice(0, 200) || picture.name;
    }
    this.#title.textContent = picture.name;
    this.#place.textContent = t("{n} of {total}", { n: this.#index + 1, total: this.source.total });
    this.#heart.setAttribute("aria-pressed", String(picture.favourite));
    this.#trash.hidden = Boolean(picture.trashed);
    this.dialog.classList.toggle("first", this.#index === 0);
    this.dialog.classList.toggle("last", this.#index === this.source.total - 1);
    fill(this.#buttons, this.#offers(picture));
    fill(this.#facts, detailsOf(picture, (term) => this.#search(term)));
    this.dispatchEvent(new CustomEvent("move", { detail: { picture, index: this.#index } }));
    void this.source.all(Math.max(0, this.#index - 1), Math.min(this.source.total, this.#index + 2)).then(() => this.#prepare());
    await this.#tellMore(picture);
  }

  /** The file tells more than the list; it comes a moment later. */
  async #tellMore(/** @type {Picture} */ picture) {
    try {
      const details = await api.get(`/api/v1/pictures/${picture.id}`);
      if (this.#id === picture.id) fill(this.#facts, detailsOf(details, (term) => this.#search(term)));
    } catch {
      // What the list knows is shown already.
    }
  }

  #prepare() {
    for (const by of [1, -1]) {
      const next = this.source.at(this.#index + by);
      if (next) new Image().src = next.url;
    }
  }

  #offers(/** @type {Picture} */ picture) {
    const button = (/** @type {string} */ label, /** @type {() => any} */ onclick, kind = "") =>
      h("button", { type: "button", class: `button ${kind}`, onclick }, label);
    if (picture.trashed) return [button(t("Take back"), () => this.#takeBack(), "primary")];
    return [
      button(t("Again with changes"), () => actions.again(picture), "primary"),
      button(t("To img2img"), () => actions.sendTo(picture, "img2img")),
      button(t("Inpaint"), () => actions.sendTo(picture, "inpaint")),
      button(t("Upscale"), () => actions.sendTo(picture, "upscale")),
    ];
  }

  async #favourite() {
    if (!this.picture) return;
    await actions.toggleFavourite(this.source, [this.picture]);
    this.#heart.setAttribute("aria-pressed", String(this.picture?.favourite));
  }

  async #throwAway() {
    if (!this.picture) return;
    await actions.throwAway(this.source, [this.picture]);
    this.#afterRemoval();
  }

  async #takeBack() {
    if (!this.picture) return;
    await actions.takeBack(this.source, [this.picture]);
    this.#afterRemoval();
  }

  #afterRemoval() {
    if (!this.source.total) this.close();
    else void this.open(Math.min(this.#index, this.source.total - 1));
  }

  #search(/** @type {string} */ term) {
    this.close();
    this.dispatchEvent(new CustomEvent("search", { detail: { term } }));
  }

  #togglePanel() {
    const hidden = this.dialog.classList.toggle("without-panel");
    if (innerWidth >= 760) remember("gallery.panel", !hidden);
    this.#info.setAttribute("aria-pressed", String(!hidden));
  }

  #onKey(/** @type {KeyboardEvent} */ event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => any>} */
    const keys = {
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), f: () => this.#favourite(), i: () => this.#togglePanel(),
      Delete: () => !this.picture?.trashed && this.#throwAway(), "+": () => this.#zoom.by(1.5), "-": () => this.#zoom.by(1 / 1.5),
      0: () => this.#zoom.reset(),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** On a touch screen the next picture is a swipe away. */
  #swipes() {
    let from = { x: 0, y: 0 };
    this.#stage.addEventListener("touchstart", (event) => {
      from = { x: event.touches[0].clientX, y: event.touches[0].clientY };
    }, { passive: true });
    this.#stage.addEventListener("touchend", (event) => {
      if (this.#zoom.isClose || event.touches.length) return;
      const [dx, dy] = [event.changedTouches[0].clientX - from.x, event.changedTouches[0].clientY - from.y];
      if (Math.abs(dx) > 60 && Math.abs(dx) > 2 * Math.abs(dy)) this.step(dx < 0 ? 1 : -1);
    });
  }

  #button(/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => any} */ onclick, kind = "") {
    return h("button", { type: "button", class: `icon-button ${kind}`, "aria-label": label, title: label, onclick }, icon(sign));
  }
}
