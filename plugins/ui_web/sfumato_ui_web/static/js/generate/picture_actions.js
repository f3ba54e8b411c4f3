/** What can be done with a finished picture. */

import { api } from "../api.js";
import { copyText } from "../clipboard.js";
import { fill, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { remember } from "../state.js";
import { showError, toast } from "../toast.js";
import { compare, view } from "./viewer.js";

const ICONS = {
  seed: "M12 4v16M4 12h16M6.5 6.5l11 11M17.5 6.5l-11 11",
  again: "M4 6h10M4 12h7M4 18h7M15 15l5-5 2 2-5 5h-2z",
  start: "M4 5h16v14H4zM4 15l4-4 4 4 3-3 5 5",
  paint: "M14 4l6 6-9 9H5v-6zM12 6l6 6",
  enlarge: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
  compare: "M12 3v18M5 6h4v12H5zM15 6h4v12h-4z",
  favourite: "M12 20s-7-4.6-7-10a4 4 0 0 1 7-2.6A4 4 0 0 1 19 10c0 5.4-7 10-7 10z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
};

export class PictureActions {
  #comparing = null;
  #favourites = new Map();

  /** @param {{gallery: boolean, reuse: (request: any) => void, seed: (seed: number) => void, start: (path: string, mode: string, image: any) => void, upscale: string, removed: (job: any) => void}} options */
  constructor(options) {
    this.options = options;
    this.gallery = options.gallery;
  }

  /** Ask which pictures of a job are favourites, and which were deleted. @param {any} job @returns {Promise<boolean>} Whether there are any. */
  async learn(job) {
    if (!this.gallery || !job.images.length) return false;
    const ask = (which) => api.get("/api/v1/pictures/", { job: job.id, limit: 500, ...which }).then((answer) => answer.items, () => []);
    const [liked, deleted] = await Promise.all([ask({ favourite: true }), ask({ trash: true })]);
    for (const image of liked) this.#favourites.set(image.id, true);
    const places = deleted.map((picture) => `/api/v1/jobs/${job.id}/pictures/${picture.index_in_job}`); // in the trash they have other ids
    for (const image of job.images) if (places.includes(image.url)) this.options.removed(image);
    return liked.length + deleted.length > 0;
  }

  /** @param {HTMLElement} bar @param {any} job @param {number} index */
  fill(bar, job, index) {
    const image = job.images[index];
    const focused = bar.contains(document.activeElement) ? document.activeElement.dataset.action : "";
    fill(bar, this.#all(job, index, image));
    if (focused) bar.querySelector(`[data-action="${focused}"]`)?.focus();
  }

  #all(job, index, image) {
    const path = this.gallery ? `picture:${image.id}` : image.path;
    const one = (name, label, act, extra = {}) => h("button", { type: "button", class: "icon-button", title: label, "aria-label": label, dataset: { action: name }, onclick: act, ...extra }, icon(ICONS[name]));
    const text = (name, label, title, act) => h("button", { type: "button", class: "button small", title, dataset: { action: name }, onclick: act }, icon(ICONS[name]), label);
    return [
      text("seed", t("Use seed"), t("Put its seed into the form"), () => this.options.seed(image.seed)),
      text("again", t("Reuse"), t("Fill the form with its settings, to draw it again with changes"), () => this.options.reuse(image.request)),
      h("span", { class: "spacer" }),
      one("start", t("Start from this picture"), () => this.options.start(path, "img2img", image)),
      one("paint", t("Paint over parts of it"), () => this.options.start(path, "inpaint", image)),
      one("enlarge", t("Enlarge it"), () => this.#enlarge(path, image)),
      one("compare", t("Compare with another picture"), () => this.#compare(job, image), { "aria-pressed": String(this.#comparing?.url === image.url) }),
      this.gallery && one("favourite", t("Favourite"), (event) => this.#favourite(image, event.currentTarget), { "aria-pressed": String(Boolean(this.#favourites.get(image.id))) }),
      h("a", { class: "icon-button", href: `${image.url}?download=1`, download: "", title: t("Download"), "aria-label": t("Download"), dataset: { action: "download" } }, icon(ICONS.download)),
      one("copy", t("Copy the infotext"), () => this.#copy(image)),
      this.gallery && one("trash", t("Delete"), () => this.trash(image)),
    ];
  }

  view(job, index, onLook) { view(job, index, onLook); }

  /** Whether a picture that is chosen is the second one of a comparison. @param {any} image */
  picked(image) {
    const first = this.#comparing;
    if (!first || first.url === image.url) return false;
    this.#comparing = null;
    compare(first, image).catch(showError);
    return true;
  }

  #compare(job, image) {
    const others = job.images.filter((other) => other.url !== image.url);
    const before = this.#comparing;
    if (before && before.url !== image.url) return void this.picked(image);
    if (before) this.#comparing = null;
    else {
      this.#comparing = image;
      if (others.length === 1) return void this.picked(others[0]);
      toast(t("Choose the picture to compare it with."), { action: t("Never mind"), onAction: () => { this.#comparing = null; } });
    }
  }

  async #favourite(image, button) {
    const favourite = !this.#favourites.get(image.id);
    try {
      await api.patch(`/api/v1/pictures/${image.id}`, { favourite });
      this.#favourites.set(image.id, favourite);
      button?.setAttribute("aria-pressed", String(favourite));
    } catch (error) { showError(error); }
  }

  /** The page that enlarges takes what is left for it. */
  #enlarge(path, image) {
    remember("upscale.incoming", { images: [path], pictures: [{ path, url: image.url }] });
    location.assign(this.options.upscale);
  }

  async #copy(image) {
    try {
      await copyText(image.infotext);
      toast(t("Copied."), { kind: "ok" });
    } catch { showInfotext(image); }
  }

  async trash(image) {
    try {
      await api.post(`/api/v1/pictures/${image.id}/trash`, {});
      this.options.removed(image);
      const undo = () => api.post(`/api/v1/pictures/${image.id}/restore`, {}).then(() => this.options.restored(image)).catch(showError);
      toast(t("The picture is in the trash."), { action: t("Undo"), onAction: undo });
    } catch (error) { showError(error); }
  }
}

/** Where a page may not write to the clipboard, the text can be marked by hand. */
async function showInfotext(image) {
  const { openDialog } = await import("../dialog.js");
  openDialog({ title: t("Infotext"), content: h("pre", { class: "mono", tabindex: 0 }, image.infotext), wide: true });
}
