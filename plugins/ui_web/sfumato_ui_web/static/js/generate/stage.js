/** The pictures of one job: the one that is looked at, how far the job is, what can be done, and the others. */

import { fill, h, one } from "../dom.js";
import { t } from "../i18n.js";
import { showError } from "../toast.js";
import { jobActions } from "./job_store.js";
import { Preview } from "./preview.js";
import { thumbnail } from "./thumbnail.js";
import { duration, nameOf, progressLine, stateWord } from "./words.js";

export class Stage {
  /** @type {string|null} */
  #job = null;
  #index = 0;
  #awaited = ""; // the job to be shown as soon as it runs or is over
  #chosen = false; // by the user; otherwise the newest picture or the preview is shown

  /** @param {HTMLElement} root @param {import("./job_store.js").JobStore} store @param {import("./picture_actions.js").PictureActions} actions */
  constructor(root, store, actions) {
    this.root = root;
    this.store = store;
    this.actions = actions;
    this.picture = one(".stage-picture", root);
    this.empty = one(".stage-empty", root);
    this.preview = new Preview();
    this.onShow = (id) => {};
    store.addEventListener("change", () => this.#changed());
    store.addEventListener("progress", (event) => event.detail.id === this.#job && this.#progress(event.detail));
    root.addEventListener("click", (event) => this.#clicked(event));
    this.picture.addEventListener("click", (event) => event.target.closest(".stage-open") && this.open());
  }

  get job() { return this.#job ? this.store.get(this.#job) : undefined; }

  get image() { return this.job?.images[this.#index]; }

  /** @param {any} job @param {number} [index] A picture that stays shown, whatever comes. */
  show(job, index) {
    this.#job = job?.id ?? null;
    this.store.kept = this.#job;
    this.#chosen = index !== undefined;
    this.#index = index ?? Math.max(0, (job?.images.length ?? 0) - 1);
    if (job) this.actions.learn(job).then((isNew) => isNew && this.draw());
    this.onShow(this.#job);
    this.draw();
  }

  /** The next or the last picture of this job. @param {1|-1} step */
  step(step) {
    const count = this.job?.images.length ?? 0;
    if (count) this.show(this.job, (this.#index + step + count) % count);
  }

  open() { if (this.image) this.actions.view(this.job, this.#index, (index) => this.show(this.job, index)); }

  /** A new job takes the stage once it runs, unless the user looks at something by choice. */
  #changed() {
    const awaited = this.store.get(this.#awaited);
    if (awaited && awaited.state !== "queued") {
      this.#awaited = "";
      return this.show(awaited);
    }
    const running = this.store.running[0];
    const idle = !this.job || this.job.state !== "running";
    if (running && idle && !this.#chosen) return this.show(running);
    const isBare = !this.#chosen && this.job?.state === "done" && !this.job.images.length; // all were deleted
    if (!this.job || isBare) return this.show(running ?? this.store.over.find((job) => job.images.length) ?? null);
    const last = Math.max(0, this.job.images.length - 1);
    this.#index = this.#chosen ? Math.min(this.#index, last) : last;
    this.draw();
  }

  /** Look at whatever is done next, and at this job once its turn comes. @param {string} id */
  follow(id) {
    this.#chosen = false;
    this.#awaited = id;
  }

  draw() {
    const job = this.job;
    this.#progress(job);
    this.#drawPicture(job);
    this.#drawStrip(job);
    this.#drawProblem(job);
    const caption = one(".stage-caption", this.root);
    caption.hidden = !job;
    if (job) caption.textContent = this.#caption(job);
    const bar = one(".stage-actions", this.root);
    bar.hidden = !this.image;
    if (this.image) this.actions.fill(bar, job, this.#index);
  }

  #progress(job) {
    const running = job?.state === "running";
    one(".stage-progress", this.root).hidden = !running;
    if (!running) return;
    one("progress", this.root).value = job.progress?.fraction ?? 0;
    one(".progress-text", this.root).textContent = progressLine(job.progress);
    if (this.#chosen) return;
    this.preview.update(job);
    if (!this.preview.element.isConnected && this.preview.has(job)) this.#drawPicture(job);
  }

  #drawPicture(job) {
    const live = job?.state === "running" && !this.#chosen && this.preview.has(job);
    const image = this.image;
    if (live) return void (this.preview.element.parentNode !== this.picture && fill(this.picture, this.preview.element));
    if (!image) return void fill(this.picture, this.empty);
    const shown = this.picture.querySelector("img");
    if (shown?.dataset.url === image.url) return;
    const alt = t("Picture {n} of {all}: {name}", { n: this.#index + 1, all: job.images.length, name: nameOf(job) });
    const img = h("img", { src: image.url, alt, width: image.width, height: image.height, draggable: "true", dataset: { url: image.url, own: "" }, onerror: () => this.store.miss(image) });
    img.classList.toggle("tiny", Math.max(image.width, image.height) <= 256);
    fill(this.picture, h("button", { type: "button", class: "stage-open", "aria-label": t("Look at it large") }, img));
  }

  #drawStrip(job) {
    const strip = one(".stage-strip", this.root);
    const images = job?.images ?? [];
    strip.hidden = images.length < 2;
    if (strip.hidden) return void fill(strip);
    const shown = images.slice(0, strip.children.length).map((image) => image.id).join();
    if (strip.dataset.job !== job.id || strip.dataset.shown !== shown) fill(strip);
    strip.dataset.job = job.id;
    strip.dataset.shown = images.map((image) => image.id).join();
    for (const [index, image] of images.entries()) {
      if (strip.children[index]) continue;
      const thumb = thumbnail(image, this.actions.gallery, (gone) => this.store.miss(gone), { alt: t("Picture {n}", { n: index + 1 }) });
      strip.append(h("li", null, h("button", { type: "button", class: "strip-item", onclick: () => this.#pick(index) }, thumb)));
    }
    [...strip.children].forEach((item, index) => item.firstChild.setAttribute("aria-pressed", String(index === this.#index)));
  }

  #pick(index) {
    const image = this.job.images[index];
    if (this.actions.picked(image)) return;
    this.show(this.job, index);
  }

  #drawProblem(job) {
    const notice = one(".stage-problem", this.root);
    const problem = job?.problem;
    notice.hidden = !problem;
    if (!problem) return;
    const again = h("button", { type: "button", class: "button small", onclick: () => jobActions.act(job, "retry").catch(showError) }, t("Try again"));
    const log = problem.log?.length ? h("details", null, h("summary", null, t("Last lines of the worker")), h("pre", { class: "mono small-text" }, problem.log.join("\n"))) : null;
    fill(notice, h("p", null, h("strong", null, problem.what), " ", problem.why), problem.hint && h("p", { class: "muted" }, problem.hint), log, again);
  }

  #caption(job) {
    const image = this.image;
    const took = job.started && job.ended ? duration((Date.parse(job.ended) - Date.parse(job.started)) / 1000) : "";
    const place = job.images.length > 1 ? `${this.#index + 1}/${job.images.length}` : "";
    return [stateWord(job.state), place, image && `${image.width} × ${image.height}`, image && t("seed {seed}", { seed: image.seed }), took, ...job.warnings].filter(Boolean).join(" · ");
  }

  async #clicked(event) {
    const action = event.target.closest("[data-job-action]")?.dataset.jobAction;
    if (!action || !this.job) return;
    try { await jobActions.act(this.job, action); } catch (error) { showError(error); }
  }
}
