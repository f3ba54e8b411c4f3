/** What is being drawn, as far as it is: asked for again once the last answer is shown, never two at a time. */

import { fill, h } from "../dom.js";
import { t } from "../i18n.js";

const MOST = 4; // pictures of a batch that are previewed side by side

export class Preview {
  #job = "";
  #shown = -1;
  #wanted = 0;
  #busy = false;
  #count = 1;

  constructor() { this.element = h("div", { class: "stage-live", role: "img", "aria-label": t("Preview of what is being drawn") }); }

  has(job) { return this.#job === job.id && this.#shown > 0; }

  update(job) {
    if (job.id !== this.#job) this.#begin(job);
    this.#wanted = job.progress?.preview ?? 0;
    if (this.#wanted && this.#wanted !== this.#shown) this.#next();
  }

  #begin(job) {
    this.#job = job.id;
    this.#shown = -1;
    this.#count = Math.min(MOST, job.request?.batch_size ?? job.request?.base?.batch_size ?? 1);
    this.images = Array.from({ length: this.#count }, () => h("img", { alt: "" }));
    fill(this.element, this.images);
    this.element.dataset.count = String(this.#count);
  }

  async #next() {
    if (this.#busy) return;
    this.#busy = true;
    const [job, number] = [this.#job, this.#wanted];
    const loaded = await Promise.all(this.images.map((image, index) => this.#load(job, index)));
    this.#busy = false;
    if (job !== this.#job) return void loaded.forEach((source) => source && URL.revokeObjectURL(source));
    loaded.forEach((source, index) => source && this.#put(this.images[index], source));
    this.#shown = loaded.some(Boolean) ? number : this.#shown;
    if (this.#wanted !== number) this.#next();
  }

  #put(image, source) {
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = source;
  }

  /** An address of what was answered, ready to be drawn, or nothing. The server answers "not modified" where it can. */
  async #load(job, index) {
    try {
      const answer = await fetch(`/api/v1/jobs/${job}/preview?index=${index}`, { cache: "no-cache", credentials: "same-origin" });
      if (!answer.ok) return null;
      const image = new Image();
      image.src = URL.createObjectURL(await answer.blob());
      await image.decode();
      return image.src;
    } catch {
      return null;
    }
  }
}
