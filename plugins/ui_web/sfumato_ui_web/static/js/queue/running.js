/** A job that runs: its preview, how far it is, and how to end it. */

import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { duration, t } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { progressWords, titleOf } from "./words.js";

export class RunningJob extends HTMLElement {
  /** @param {any} job */
  set job(job) {
    const isNew = this._job?.id !== job.id;
    this._job = job;
    if (isNew) this.build();
    this.dataset.id = job.id;
    this.title_.textContent = titleOf(job);
    this.showPictures(job.images ?? []);
    this.progress = job.progress;
  }

  get job() {
    return this._job;
  }

  build() {
    this.className = "card running-job";
    this.picture = h("img", { class: "running-preview", alt: t("The picture so far"), hidden: true, dataset: { own: "" } });
    this.picture.addEventListener("error", () => (this.picture.hidden = true));
    this.title_ = h("h3", { class: "running-title" });
    this.kind = h("span", { class: "badge" }, this.kindLabel ?? this._job.kind);
    this.words = h("p", { class: "muted running-words" });
    this.bar = h("progress", { max: "1", "aria-label": t("Progress") });
    this.left = h("span", { class: "running-left muted" });
    this.pictures = h("div", { class: "running-pictures cluster" });
    fill(
      this,
      h("div", { class: "running-frame" }, this.picture),
      h(
        "div",
        { class: "running-body" },
        h("div", { class: "running-head" }, this.title_, this.kind),
        h("div", { class: "progress" }, this.bar, this.left),
        this.words,
        this.pictures,
        h("div", { class: "cluster running-actions" }, ...this.buttons()),
      ),
    );
  }

  buttons() {
    const act = (name, text, told) => () => this.act(name, text, told);
    return [
      h("button", { type: "button", class: "button small", onclick: act("skip", t("Skipping …")), title: t("Take what is drawn as it is, and go on with the next batch") }, t("Skip")),
      h("button", { type: "button", class: "button small", onclick: act("interrupt", t("Ending …")), title: t("Take what is drawn as it is, and end the job") }, t("Interrupt")),
      h("button", { type: "button", class: "button small danger", onclick: act("cancel", t("Cancelling …")) }, t("Cancel")),
    ];
  }

  async act(name, text) {
    try {
      await api.post(`/api/v1/jobs/${this._job.id}/${name}`);
      toast(text, { kind: "ok" });
    } catch (error) {
      showError(error);
    }
  }

  /** @param {any} progress */
  set progress(progress) {
    this._progress = progress;
    this.words.textContent = progressWords(progress);
    if (progress) this.bar.value = progress.fraction ?? 0;
    else this.bar.removeAttribute("value");
    const seconds = progress?.seconds_left;
    const known = seconds !== null && seconds !== undefined;
    this.left.textContent = known ? t("{time} left", { time: duration(seconds) }) : "";
    this.showPreview(progress?.preview ?? 0);
  }

  get progress() {
    return this._progress;
  }

  async showPreview(number) {
    if (!number || number === this.shown) return;
    this.shown = number;
    const answer = await fetch(`/api/v1/jobs/${this._job.id}/preview`, { cache: "no-cache" }).catch(() => null);
    if (!answer?.ok || number !== this.shown) return;
    const before = this.picture.src;
    this.picture.src = URL.createObjectURL(await answer.blob());
    this.picture.hidden = false;
    if (before.startsWith("blob:")) URL.revokeObjectURL(before);
  }

  showPictures(images) {
    const seen = this.pictures.childElementCount;
    for (const image of images.slice(seen)) {
      const link = h("a", { href: image.url, target: "_blank", rel: "noopener" }, h("img", { src: image.url, alt: t("Picture with seed {seed}", { seed: image.seed ?? "?" }), loading: "lazy" }));
      this.pictures.append(link);
    }
    const last = images.at(-1);
    if (last && !this.shown && this.picture.dataset.of !== last.url) {
      this.picture.dataset.of = this.picture.src = last.url; // until there is a preview of the next one
      this.picture.hidden = false;
    }
  }
}

customElements.define("sf-running-item", RunningJob);
