/** The queue beside the form: what runs, what waits and in which order, what was done. */

import { fill, h, icon, one } from "../dom.js";
import { confirmDialog } from "../dialog.js";
import { t, tn } from "../i18n.js";
import { showError } from "../toast.js";
import { jobActions } from "./job_store.js";
import { Reordering } from "./reordering.js";
import { thumbnail } from "./thumbnail.js";
import { duration, nameOf, progressLine, stateWord } from "./words.js";

const DONE = 12;

const CROSS = "M6 6l12 12M18 6L6 18";
const AGAIN = "M4 12a8 8 0 1 1 2.5 5.8M4 19v-4h4";

export class QueuePanel {
  /** @param {HTMLElement} root @param {import("./job_store.js").JobStore} store @param {(job: any) => void} show @param {boolean} gallery Whether there is one. */
  constructor(root, store, show, gallery) {
    this.store = store;
    this.gallery = gallery;
    this.show = show;
    this.root = root;
    this.now = one(".queue-now", root);
    this.done = one(".queue-done", root);
    this.rest = one("[data-action=cancel-rest]", root);
    this.shown = "";
    this.rest.addEventListener("click", () => this.#cancelRest());
    this.reordering = new Reordering(this.now, (id, before) => this.#move(id, before), () => this.draw(), one(".queue-said", root));
    store.addEventListener("change", () => this.draw());
    store.addEventListener("progress", (event) => this.#progress(event.detail));
  }

  /** Mark the job whose pictures are shown. @param {string} id */
  mark(id) {
    this.shown = id;
    for (const item of this.root.querySelectorAll("[data-job]")) item.classList.toggle("shown", item.dataset.job === id);
  }

  draw() {
    if (this.reordering.busy) return; // what is dragged stays in the hand
    const { running, waiting, over } = this.store;
    const count = Math.max(this.store.waitingCount, waiting.length);
    const focused = document.activeElement?.closest?.("[data-job]")?.dataset.job;
    const part = document.activeElement?.dataset?.part;
    fill(this.now, running.map((job) => this.#running(job)), waiting.map((job) => this.#waiting(job)),
      count > waiting.length && h("li", { class: "muted small-text queue-more" }, tn("and 1 more", "and {n} more", count - waiting.length)));
    fill(this.done, over.slice(0, DONE).map((job) => this.#over(job)));
    one(".queue-empty", this.root).hidden = running.length + waiting.length > 0;
    one(".queue-done-head", this.root).hidden = !over.length;
    const badge = one(".queue-count", this.root);
    badge.hidden = this.rest.hidden = !count;
    badge.textContent = String(count);
    this.mark(this.shown);
    if (focused && !this.root.contains(document.activeElement)) this.root.querySelector(`[data-job="${focused}"] [data-part="${part}"]`)?.focus();
  }

  #item(job, attributes, ...children) {
    return h("li", { class: `queue-item ${job.state}`, dataset: { job: job.id }, ...attributes }, ...children);
  }

  #name(job) {
    return h("button", { type: "button", class: "queue-name", dataset: { part: "name" }, title: nameOf(job), onclick: () => this.show(job) }, nameOf(job));
  }

  #button(path, label, act, part) {
    return h("button", { type: "button", class: "icon-button small", "aria-label": label, title: label, dataset: { part }, onclick: act }, icon(path));
  }

  #running(job) {
    return this.#item(job, {}, h("div", { class: "queue-line" }, this.#name(job), this.#button(CROSS, t("Cancel {name}", { name: nameOf(job) }), () => this.#act(job, "cancel"), "cancel")),
      h("progress", { class: "queue-progress", max: 1, value: job.progress?.fraction ?? 0, "aria-label": t("Progress") }),
      h("p", { class: "muted small-text queue-words" }, progressLine(job.progress)));
  }

  #waiting(job) {
    const grip = h("button", { type: "button", class: "queue-grip", dataset: { part: "grip" }, "aria-label": t("Move {name}: arrow keys up and down", { name: nameOf(job) }), title: t("Drag, or use the arrow keys") }, "⋮⋮");
    return this.#item(job, { dataset: { job: job.id, waiting: "" } }, h("div", { class: "queue-line" }, grip, this.#name(job), this.#button(CROSS, t("Cancel {name}", { name: nameOf(job) }), () => this.#act(job, "cancel"), "cancel")));
  }

  #over(job) {
    const bad = job.state === "failed" || job.state === "interrupted";
    const last = job.images.at(-1);
    const picture = last && thumbnail(last, this.gallery, (gone) => this.store.miss(gone), { alt: "", class: "queue-thumb" });
    const how = job.state === "done" && job.images.length ? tn("1 image", "{n} images", job.images.length) : stateWord(job.state);
    const took = job.started && job.ended ? duration((Date.parse(job.ended) - Date.parse(job.started)) / 1000) : "";
    const again = job.state !== "done" && this.#button(AGAIN, t("Try {name} again", { name: nameOf(job) }), () => this.#act(job, "retry"), "retry");
    return this.#item(job, {}, h("div", { class: "queue-line" }, picture, h("div", { class: "queue-text" }, this.#name(job),
      h("p", { class: `small-text ${bad ? "queue-bad" : "muted"}` }, [how, took].filter(Boolean).join(" · "))), again),
    bad && job.problem && h("p", { class: "small-text queue-bad" }, job.problem.what));
  }

  #progress(job) {
    const item = this.root.querySelector(`[data-job="${job.id}"]`);
    const bar = item?.querySelector("progress");
    if (!bar) return this.draw();
    bar.value = job.progress?.fraction ?? 0;
    item.querySelector(".queue-words").textContent = progressLine(job.progress);
  }

  async #act(job, action) {
    try { await jobActions.act(job, action); } catch (error) { showError(error); }
  }

  async #move(id, before) {
    try {
      await jobActions.move({ id }, before);
      await this.store.load();
    } catch (error) { showError(error); }
  }

  async #cancelRest() {
    const n = Math.max(this.store.waitingCount, this.store.waiting.length);
    const sure = await confirmDialog({ title: tn("Cancel 1 waiting job?", "Cancel {n} waiting jobs?", n), text: t("What is running goes on."), confirm: t("Cancel the rest"), cancel: t("Keep them"), danger: true });
    if (!sure) return;
    try {
      await jobActions.cancelWaiting();
      await this.store.load();
    } catch (error) { showError(error); }
  }
}
