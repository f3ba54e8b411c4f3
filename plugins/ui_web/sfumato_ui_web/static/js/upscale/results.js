/** Jobs of upscaling, newest first: how far they are, and what came out beside what went in. */

import "../compare/compare.js";
import { api } from "../api.js";
import { h } from "../dom.js";
import { onEvent, onReconnect } from "../events.js";
import { addressOf } from "../forms/picture.js";
import { t } from "../i18n.js";
import { recall, remember } from "../state.js";
import { showError } from "../toast.js";

const JOBS = "/api/v1/jobs";
const SHOWN = 40;
const MOST_BEFORE = 200;
const PATIENCE = 150; // ms in which events of a job are taken together

export class Results {
  /** @param {HTMLElement} page */
  constructor(page) {
    const find = (/** @type {string} */ id) => /** @type {any} */ (page.querySelector(`#upscale-${id}`));
    this.list = find("list");
    this.compare = find("compare");
    this.actions = find("actions");
    this.empty = find("empty");
    /** @type {Map<string, any>} Jobs by id. */
    this.jobs = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    /** @type {Map<string, number>} */
    this.timers = new Map();
    /** @type {string | null} */
    this.selected = null;
    this.follow = true;
    onEvent("*", (event) => this.heard(event));
    onReconnect(() => this.load());
  }

  async load() {
    try {
      const { items } = await api.get(JOBS, { kind: "upscale", limit: SHOWN });
      this.jobs = new Map(items.map((/** @type {any} */ job) => [job.id, job]));
    } catch (error) {
      return showError(error);
    }
    this.draw();
  }

  /** New jobs, with the address of what each began from. @param {any[]} jobs @param {string[]} before */
  add(jobs, before) {
    const known = Object.entries(recall("upscale-before") ?? {});
    const all = [...jobs.map((job, i) => [job.id, before[i]]), ...known].slice(0, MOST_BEFORE);
    remember("upscale-before", Object.fromEntries(all));
    for (const job of jobs) this.jobs.set(job.id, job);
    this.follow = true;
    this.draw();
  }

  /** @param {{job: string, kind: string}} event */
  heard(event) {
    const known = this.jobs.has(event.job);
    if (this.timers.has(event.job) || (!known && event.kind !== "job_changed")) return;
    this.timers.set(event.job, window.setTimeout(() => this.refresh(event.job), PATIENCE));
  }

  /** @param {string} id */
  async refresh(id) {
    this.timers.delete(id);
    try {
      const job = await api.get(`${JOBS}/${id}`);
      if (job.kind !== "upscale") return;
      this.jobs.set(id, job);
    } catch (error) {
      if (error.status === 404) this.jobs.delete(id);
      else return showError(error);
    }
    this.draw();
  }

  draw() {
    const jobs = [...this.jobs.values()].sort((one, other) => other.number - one.number);
    this.empty.hidden = jobs.length > 0;
    const done = jobs.find((job) => job.images.length);
    if (done && (this.follow || !this.jobs.get(this.selected ?? "")?.images.length)) this.show(done.id);
    for (const [id, row] of this.rows) if (!this.jobs.has(id)) row.remove(), this.rows.delete(id);
    jobs.forEach((job, place) => this.put(job, place));
  }

  /** A row is made anew only where its job changed, so that the focus stays. @param {any} job @param {number} place */
  put(job, place) {
    const said = JSON.stringify([job.state, job.progress?.fraction, job.images.length, this.selected === job.id]);
    let row = this.rows.get(job.id);
    if (row?.dataset.said !== said) {
      const focused = row?.contains(document.activeElement);
      const fresh = this.row(job);
      fresh.dataset.said = said;
      row?.replaceWith(fresh);
      if (focused) fresh.querySelector("button")?.focus();
      this.rows.set(job.id, (row = fresh));
    }
    if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place] ?? null);
  }

  /** @param {any} job @returns {HTMLElement} */
  row(job) {
    const picture = job.images[0];
    const choose = () => {
      this.follow = false;
      this.show(job.id);
      this.draw();
    };
    const source = before(job) || picture?.url; // the smaller of both, as it is shown small
    const shown = h(
      "button",
      { type: "button", class: "upscale-shown", onclick: choose, disabled: !picture, "aria-pressed": String(this.selected === job.id) },
      source ? h("img", { src: source, alt: "", loading: "lazy" }) : h("span", { class: "upscale-blank" }),
      h("span", { class: "upscale-about" }, h("span", { class: "truncate" }, title(job)), this.state(job)),
    );
    return h("li", { class: "upscale-result" }, shown, this.ways(job));
  }

  /** @param {any} job */
  state(job) {
    const picture = job.images[0];
    if (job.state === "done" && picture) return h("span", { class: "muted mono" }, `${picture.width} × ${picture.height}`);
    if (job.state === "running") {
      const label = t("Progress of {name}", { name: title(job) });
      return h("span", { class: "progress" }, h("progress", { max: 1, value: job.progress?.fraction ?? 0, "aria-label": label }));
    }
    const words = { queued: t("Waiting"), failed: t("Failed"), cancelled: t("Cancelled"), interrupted: t("Interrupted"), done: t("Nothing was made") };
    const { what, why, hint } = job.problem ?? { what: job.result?.skipped?.[0]?.reason };
    const told = [what, why, hint].filter(Boolean).join(" ");
    return h("span", { class: told ? "upscale-problem" : "muted" }, told || words[job.state]);
  }

  /** What can be done with a job. @param {any} job */
  ways(job) {
    const act = (/** @type {string} */ what) => () => api.post(`${JOBS}/${job.id}/${what}`).then(() => this.refresh(job.id), showError);
    const button = (/** @type {string} */ label, /** @type {string} */ what) =>
      h("button", { type: "button", class: "button quiet small", onclick: act(what), "aria-label": `${label}: ${title(job)}` }, label);
    if (["queued", "running"].includes(job.state)) return button(t("Cancel"), "cancel");
    if (["failed", "cancelled", "interrupted"].includes(job.state)) return button(t("Try again"), "retry");
    return job.images[0] ? download(job.images[0], t("Download"), title(job)) : null;
  }

  /** @param {string} id */
  show(id) {
    const job = this.jobs.get(id);
    const picture = job?.images[0];
    if (!picture || this.selected === id) return;
    this.selected = id;
    const source = before(job) || picture.url;
    this.compare.hidden = this.actions.hidden = false;
    this.compare.show({ src: source, label: t("Before") }, { src: picture.url, label: t("After") });
    this.actions.replaceChildren(
      h("strong", { class: "truncate" }, title(job)),
      h("span", { class: "muted mono" }, `${picture.width} × ${picture.height}`),
    );
  }
}

/** Where that which a job began from is seen. @param {any} job */
function before(job) {
  return (recall("upscale-before") ?? {})[job.id] || addressOf(job.request.images?.[0] ?? "");
}

/** @param {any} job */
function title(job) {
  return job.label || t("Picture {n}", { n: job.number });
}

/** @param {{url: string}} picture @param {string} label @param {string} name */
function download(picture, label, name) {
  return h("a", { class: "button quiet small", href: `${picture.url}?download=1`, download: "", "aria-label": `${label}: ${name}` }, label);
}
