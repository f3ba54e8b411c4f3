/** Work goes to the queue once, however often a button is pressed. */

import { api } from "../api.js";

/** @typedef {{kind: string, request: any}} Work */

export const newKey = () => (crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`);

/** One piece of work. Asked for once more after no answer came, it is not queued a second time. */
export class Submission {
  #unanswered = { work: "", key: "" };

  /** @param {Work} work */
  async send(work) {
    const written = JSON.stringify(work);
    const key = this.#unanswered.work === written ? this.#unanswered.key : newKey();
    this.#unanswered = { work: written, key };
    try {
      const job = await api.post("/api/v1/jobs", { ...work, label: labelOf(work), key });
      this.#unanswered = { work: "", key: "" };
      return job;
    } catch (error) {
      if (error.status) this.#unanswered = { work: "", key: "" };
      throw error;
    }
  }
}

/** All or none. @param {Work[]} works @param {string} key Of the whole batch. */
export function submitAll(works, key) {
  const jobs = works.map((work, index) => ({ ...work, label: labelOf(work), key: `${key}-${index}` }));
  return api.post("/api/v1/jobs/batch", { jobs });
}

/** What work comes to: {images, seconds, steps, problems}. @param {Work[]} works */
export function estimate(works) {
  return api.post("/api/v1/jobs/estimate", works.length === 1 ? works[0] : { jobs: works });
}

function labelOf(work) {
  const prompt = work.request.prompt ?? work.request.base?.prompt ?? "";
  return prompt.replace(/\s+/g, " ").trim().slice(0, 300);
}
