/** The user's jobs as the server has them, followed by its events; every tab shows the same ones. */

import { api } from "../api.js";
import { onEvent, onReconnect } from "../events.js";

export const ENDED = ["done", "failed", "cancelled", "interrupted"];
const RECENT = 30;
const AHEAD = { lane: "device", limit: 60 }; // of those that wait
const REST_MS = 150;

/** Work in the background, such as indexing, is for the page of the whole queue. */
const isDrawn = (job) => job.lane === "device";

/** Events: "change" (a job came, went or has another state), "progress" (detail: the job). */
export class JobStore extends EventTarget {
  /** @type {Map<string, any>} */
  #jobs = new Map();
  /** @type {string[]} */
  #order = [];
  #stale = new Set();
  #timer = 0;
  #listStale = false;
  /** Ids of pictures that are in the trash, or nowhere. */
  #gone = new Set();
  /** How many jobs wait, also those that are not listed. */
  waitingCount = 0;
  /** @type {string|null} The job that is looked at, however old. */
  kept = null;

  async start() {
    onEvent("*", (event) => this.#happened(event));
    onReconnect(() => this.load().catch(() => {}));
    await this.load();
  }

  async load() {
    const [recent, running, waiting] = await Promise.all([
      api.get("/api/v1/jobs", { lane: AHEAD.lane, state: ENDED, limit: RECENT }),
      api.get("/api/v1/jobs", { lane: AHEAD.lane, state: "running", limit: RECENT }),
      api.get("/api/v1/jobs/waiting", AHEAD),
    ]);
    const all = [...recent.items, ...running.items, ...waiting.items];
    const kept = this.#jobs.get(this.kept);
    this.#jobs = new Map([kept, ...all].filter(Boolean).map((job) => [job.id, job]));
    this.#queueUp(waiting);
    this.#tell();
  }

  get(id) { return this.#jobs.has(id) ? this.#seen(this.#jobs.get(id)) : undefined; }

  /** A picture that is in the trash is not shown, until it is back. @param {string} id @param {boolean} gone */
  hide(id, gone) {
    if (gone) this.#gone.add(id);
    else this.#gone.delete(id);
    this.#tell();
  }

  /** A picture could not be shown: one whose file is gone is shown no more. @param {any} image */
  async miss(image) {
    const answer = await fetch(image.url, { method: "HEAD", credentials: "same-origin" }).catch(() => null);
    if (answer?.status === 404) this.hide(image.id, true);
  }

  #seen(job) { return job.images.some((image) => this.#gone.has(image.id)) ? { ...job, images: job.images.filter((image) => !this.#gone.has(image.id)) } : job; }

  /** A job that the page itself submitted, before its event came. */
  add(job) {
    if (!this.#jobs.has(job.id)) {
      this.#jobs.set(job.id, job);
      if (job.state === "queued") this.#order.push(job.id);
    }
    this.#tell();
  }

  /** A job that may be too old to be listed. @param {string} id */
  async fetch(id) {
    if (!this.#jobs.has(id)) this.#jobs.set(id, await api.get(`/api/v1/jobs/${id}`));
    return this.#jobs.get(id);
  }

  get running() { return this.#newest().filter((job) => job.state === "running").reverse(); }

  get waiting() {
    const place = new Map(this.#order.map((id, index) => [id, index]));
    const queued = this.#newest().filter((job) => job.state === "queued").reverse();
    return queued.sort((one, other) => (place.get(one.id) ?? Infinity) - (place.get(other.id) ?? Infinity) || one.number - other.number);
  }

  get over() { return this.#newest().filter((job) => ENDED.includes(job.state)).slice(0, RECENT); }

  #newest() { return [...this.#jobs.values()].filter(isDrawn).map((job) => this.#seen(job)).sort((one, other) => other.number - one.number); }

  #happened(event) {
    const job = this.#jobs.get(event.job);
    if (event.kind === "job_removed") {
      this.#jobs.delete(event.job);
      this.#tell();
    } else if (event.kind === "job_changed" || event.kind === "image_saved" || event.kind === "warned") this.#refresh(event);
    else if (job && event.data.progress && !ENDED.includes(job.state)) {
      this.#jobs.set(job.id, { ...job, state: "running", progress: event.data.progress });
      this.dispatchEvent(new CustomEvent("progress", { detail: this.#jobs.get(job.id) }));
    }
  }

  /** Several events at once cost one look at each job, and at the order of those that wait. */
  #refresh(event) {
    this.#stale.add(event.job);
    this.#listStale ||= event.kind === "job_changed";
    this.#timer ||= setTimeout(() => this.#look().catch(() => {}), REST_MS);
  }

  async #look() {
    const [ids, list] = [[...this.#stale], this.#listStale];
    this.#stale.clear();
    this.#listStale = false;
    this.#timer = 0;
    if (ids.length > RECENT) return this.load();
    const [waiting, ...jobs] = await Promise.all([
      list ? api.get("/api/v1/jobs/waiting", AHEAD) : null,
      ...ids.map((id) => api.get(`/api/v1/jobs/${id}`).catch(() => null)),
    ]);
    if (waiting) this.#queueUp(waiting);
    jobs.forEach((job, index) => (job ? this.#jobs.set(job.id, job) : this.#jobs.delete(ids[index])));
    this.#forgetOld();
    this.#tell();
  }

  #forgetOld() {
    const over = this.#newest().filter((job) => ENDED.includes(job.state));
    for (const job of over.slice(RECENT)) if (job.id !== this.kept) this.#jobs.delete(job.id);
  }

  #queueUp({ items, total }) {
    this.#order = items.map((job) => job.id);
    this.waitingCount = total;
    for (const job of items) this.#jobs.set(job.id, job);
  }

  #tell() { this.dispatchEvent(new Event("change")); }
}

/** What can be done to a job. */
export const jobActions = {
  act: (job, action) => api.post(`/api/v1/jobs/${job.id}/${action}`, {}),
  move: (job, before) => api.post(`/api/v1/jobs/${job.id}/move`, before ? { before } : {}),
  /** All that wait, but for work in the background. */
  cancelWaiting: () => api.post("/api/v1/jobs/cancel", { states: ["queued"], lane: "device" }),
};
