/** The page Queue: what runs, what waits, what was done; kept up to date by events. */

import { api } from "../api.js";
import { all, debounced, fill, one } from "../dom.js";
import { confirmDialog } from "../dialog.js";
import { onEvent, onReconnect } from "../events.js";
import { t, tn } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { historyItem } from "./history.js";
import { RunningJob } from "./running.js";
import { WaitingList } from "./waiting.js";
import { queueWords, titleOf } from "./words.js";

const ENDED = ["done", "failed", "cancelled", "interrupted"];
const PAGE = 30;

class QueuePage extends HTMLElement {
  connectedCallback() {
    this.kinds = new Map(JSON.parse(this.dataset.kinds).map((kind) => [kind.name, kind.label]));
    this.kindLabel = (job) => t(this.kinds.get(job.kind) ?? job.kind);
    this.running = [];
    this.history = [];
    this.next = null;
    this.estimate = null;
    this.waiting = new WaitingList(one(".queue-waiting-list", this), one(".queue-announcement", this), this.kindLabel, () => this.refresh());
    this.refreshSoon = debounced(() => this.refresh(), 200);
    this.historySoon = debounced(() => this.loadHistory(), 250);
    one(".queue-cancel-all", this).addEventListener("click", () => this.cancelAll());
    one(".queue-more", this).addEventListener("click", () => this.loadHistory(this.next));
    for (const control of all(".queue-filters select", this)) control.addEventListener("change", () => this.loadHistory());
    one(".queue-filters input", this).addEventListener("input", () => this.showHistory());
    onEvent("*", (event) => this.hear(event));
    onReconnect(() => (this.refresh(), this.loadHistory()));
    this.refresh();
    this.loadHistory();
    setInterval(() => this.summarise(), 5000);
  }

  hear(event) {
    if (event.kind === "job_changed") {
      this.refreshSoon();
      if (ENDED.includes(event.data.state)) this.historySoon();
    } else if (event.kind === "job_removed") this.forget(event.job);
    else if (event.kind === "image_saved") this.refreshSoon();
    else if (event.kind === "step_completed" || event.kind === "phase_started") this.advance(event);
  }

  /** What an event tells of progress; what it does not tell stays as it was. */
  advance(event) {
    const item = this.running.find((one_) => one_.job.id === event.job);
    if (!item) return this.refreshSoon();
    const told = event.kind === "phase_started" ? { phase: event.data.phase, detail: event.data.detail, steps: 0 } : { ...event.data, phase: "sampling" };
    if (told.preview !== undefined && typeof told.preview !== "number") delete told.preview;
    item.progress = { ...item.progress, ...told };
    this.previewSoon ??= debounced(() => this.refresh(), 1000);
    if (told.fraction === undefined) this.previewSoon();
  }

  async refresh() {
    try {
      const [running, waiting] = await Promise.all([api.get("/api/v1/jobs", { state: "running" }), api.get("/api/v1/jobs/waiting")]);
      this.showRunning(running.items);
      this.showWaiting(waiting.items);
      this.summarise();
      this.estimateSoon ??= debounced(() => this.askEstimate(), 400);
      this.estimateSoon();
    } catch (error) {
      if (error.status) showError(error);
    }
  }

  showRunning(jobs) {
    const list = one(".queue-running-list", this);
    this.running = jobs.map((job) => {
      const item = this.running.find((known) => known.job.id === job.id) ?? new RunningJob();
      item.kindLabel = this.kindLabel(job);
      item.job = job;
      return item;
    });
    for (const child of [...list.children]) if (!this.running.includes(child)) child.remove();
    this.running.forEach((item, index) => list.children[index] !== item && list.insertBefore(item, list.children[index] ?? null));
    one(".queue-running", this).hidden = jobs.length === 0;
  }

  showWaiting(jobs) {
    this.waiting.show(jobs);
    this.waitingJobs = jobs;
    one(".queue-waiting-empty", this).hidden = jobs.length > 0;
    one(".queue-cancel-all", this).hidden = jobs.length === 0;
    const count = one(".queue-count", this);
    count.hidden = jobs.length === 0;
    count.textContent = String(jobs.length);
  }

  /** Seconds that the waiting jobs will take, as far as earlier ones tell. */
  async askEstimate() {
    const jobs = (this.waitingJobs ?? []).slice(0, 200).map((job) => ({ kind: job.kind, request: job.request }));
    const key = (this.waitingJobs ?? []).map((job) => job.id).join();
    if (key === this.estimatedFor) return;
    this.estimatedFor = key;
    this.estimate = jobs.length ? null : 0;
    if (jobs.length) {
      const found = await api.post("/api/v1/jobs/estimate", { jobs }).catch(() => null);
      this.estimate = found?.seconds ?? null;
    }
    this.summarise();
  }

  summarise() {
    const left = this.running.map((item) => item.progress?.seconds_left);
    const known = left.every((seconds) => seconds !== null && seconds !== undefined) && this.estimate !== null;
    const seconds = known ? Math.max(0, ...left, 0) + this.estimate : null;
    const words = queueWords(this.running.length, this.waiting.jobs.length, this.running.length + this.waiting.jobs.length ? seconds : null);
    const summary = one(".queue-summary", this);
    if (summary.textContent !== words) summary.textContent = words;
  }

  async cancelAll() {
    const count = this.waiting.jobs.length;
    const sure = await confirmDialog({
      title: tn("Cancel {n} job that waits?", "Cancel {n} jobs that wait?", count),
      text: t("What runs goes on. Cancelled jobs stay in the list below, and can be queued again."),
      confirm: t("Cancel them"),
      cancel: t("Keep them"),
      danger: true,
    });
    if (!sure) return;
    try {
      const { cancelled } = await api.post("/api/v1/jobs/cancel", { states: ["queued"] });
      toast(tn("{n} job cancelled.", "{n} jobs cancelled.", cancelled), { kind: "ok" });
    } catch (error) {
      showError(error);
    }
    this.refresh();
  }

  async loadHistory(cursor = null) {
    const state = one("select[name=state]", this).value;
    const kind = one("select[name=kind]", this).value;
    try {
      const found = await api.get("/api/v1/jobs", { state: state || ENDED, kind, cursor, limit: PAGE });
      this.history = cursor ? [...this.history, ...found.items] : found.items;
      this.next = found.next;
      this.showHistory();
    } catch (error) {
      if (error.status) showError(error);
    }
  }

  showHistory() {
    const wanted = one("input[name=text]", this).value.trim().toLowerCase();
    const shown = this.history.filter((job) => !wanted || searchText(job).includes(wanted));
    const on = { gone: (id) => this.forget(id), changed: () => (this.refresh(), this.loadHistory()) };
    fill(one(".queue-history-list", this), shown.map((job) => historyItem(job, this.kindLabel(job), on)));
    one(".queue-more", this).hidden = !this.next;
    const empty = one(".queue-history-empty", this);
    empty.hidden = shown.length > 0;
    empty.textContent = this.history.length ? t("None of the jobs shown here says that.") : t("No job has been done yet, or none that fits.");
  }

  forget(id) {
    const before = this.history.length;
    this.history = this.history.filter((job) => job.id !== id);
    if (this.history.length !== before) this.showHistory();
  }
}

function searchText(job) {
  return [titleOf(job), job.request?.prompt, job.problem?.what, job.id].filter(Boolean).join(" ").toLowerCase();
}

customElements.define("sf-queue", QueuePage);
