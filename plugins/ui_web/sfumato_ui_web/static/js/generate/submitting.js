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

const AT_ONCE = 1000; // that the server takes

/** Once more with the same key, nothing is queued twice. @param {Work[]} works @param {string} key Of the whole batch. @returns {Promise<any[]>} */
export async function submitAll(works, key) {
  const jobs = works.map((work, index) => ({ ...work, label: labelOf(work), key: `${key}-${index}` }));
  const queued = [];
  for (const part of parts(jobs)) queued.push(...(await api.post("/api/v1/jobs/batch", { jobs: part })).items);
  return queued;
}

/** What work comes to: {images, seconds, steps, problems}. @param {Work[]} works */
export async function estimate(works) {
  if (works.length === 1) return api.post("/api/v1/jobs/estimate", works[0]);
  const sums = [];
  for (const jobs of parts(works)) sums.push(await api.post("/api/v1/jobs/estimate", { jobs }));
  return sums.reduce((one, other) => ({
    images: one.images + other.images,
    steps: one.steps + other.steps,
    seconds: one.seconds === null || other.seconds === null ? null : one.seconds + other.seconds,
    problems: [...one.problems, ...other.problems],
  }));
}

const parts = (works) => Array.from({ length: Math.ceil(works.length / AT_ONCE) }, (_, part) => works.slice(part * AT_ONCE, (part + 1) * AT_ONCE));

function labelOf(work) {
  const prompt = work.request.prompt ?? work.request.base?.prompt ?? "";
  return prompt.replace(/\s+/g, " ").trim().slice(0, 300);
}
