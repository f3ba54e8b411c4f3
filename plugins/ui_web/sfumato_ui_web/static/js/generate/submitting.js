/** Work goes to the queue once, however often a button is pressed. */

import { api } from "../api.js";

/** @typedef {{kind: string, request: any}} Work */

export const newKey = () => (crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`);

/** @param {Work} work @param {string} [key] */
export function submit(work, key = newKey()) {
  return api.post("/api/v1/jobs", { ...work, label: labelOf(work), key });
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
