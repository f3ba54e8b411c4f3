/** The page Queue: what runs, what waits, what was done; kept up to date by events. */

import { api } from "../api.js";
import { all, debounced, one } from "../dom.js";
import { confirmDialog } from "../dialog.js";
import { onEvent, onReconnect } from "../events.js";
import { number, t, tn } from "../i18n.js";
import { recall, remember } from "../state.js";
import { showError, toast } from "../toast.js";
import { historyItem } from "./history.js";
import { showRows } from "./rows.js";
import { RunningJob } from "./running.js";
import { WaitingList } from "./waiting.js";
import { queueWords } from "./words.js";

const ENDED = ["done", "failed", "cancelled", "interrupted"];
const PAGE = 30;
const MOST_PAGE = 200;
const WAITING = 100; // shown at first, and with each "Show more"
const ESTIMATED = 50; // jobs that an estimate looks at: the others count as they do

class QueuePage extends HTMLElement {
  connectedCallback() {
    this.kinds = new Map(JSON.parse(this.dataset.kinds).map((kind) => [kind.name, kind.label]));
    this.kindLabel = (job) => t(this.kinds.get(job.kind) ?? job.kind);
    this.running = [];
    this.waitingShown = WAITING;
    this.history = [];
    this.next = null;
    this.estimate = null;
    this.waiting = new WaitingList(one(".queue-waiting-list", this), one(".queue-announcement", this), this.kindLabel, () => this.refresh());
    this.refreshSoon = debounced(() => this.refresh(), 200);
    this.historySoon = debounced(() => this.loadHistory(), 250);
    one(".queue-cancel-all", this).addEventListener("click", () => this.cancelAll());
    one(".queue-more", this).addEventListener("click", () => this.loadHistory(this.next));
    for (const control of all(".queue-filters select", this)) control.addEventListener("change", () => this.loadHistory());
    one(".queue-filters input", this).addEventListener("input", this.historySoon);
    one(".queue-waiting-more", this).addEventListener("click", () => this.showMoreWaiting());
    this.background = one("[name=background]", this);
    this.background.checked = recall("queue.background", false);
    this.background.addEventListener("change", () => this.changeLanes());
    onEvent("*", (event) => this.hear(event));
    onReconnect(() => (this.refresh(), this.loadHistory()));
    this.refresh();
    this.loadHistory();
    setInterval(() => this.summarise(), 5000);
  }

  /** Work in the background, such as indexing, is shown to who wants to see it. */
  get lane() {
    return this.background.checked ? undefined : "device";
  }

  changeLanes() {
    remember("queue.background", this.background.checked);
    this.refresh();
    this.loadHistory();
  }

  showMoreWaiting() {
    this.waitingShown += WAITING;
    this.refresh();
  }

  hear(event) {
    if (event.kind === "job_changed") {
      this.refreshSoon();
      if (ENDED.includes(event.data.state)) this.historySoon();
    } else if (event.kind === "job_removed") this.forget(event.job);
    else if (event.kind === "image_saved") this.refreshSoon();
    else if (event.kind === "step_completed" || event.kind === "phase_started") this.advance(event);
  }

  advance(event) {
    const item = this.running.find((one_) => one_.job.id === event.job);
    if (!item || !event.data.progress) return this.refreshSoon();
    item.progress = event.data.progress;
  }

  async refresh() {
    try {
      const [running, waiting] = await Promise.all([
        api.get("/api/v1/jobs", { state: "running", lane: this.lane }),
        api.get("/api/v1/jobs/waiting", { limit: this.waitingShown + 1, lane: this.lane }),
      ]);
      this.showRunning(running.items);
      this.showWaiting(waiting);
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

  showWaiting({ items, total }) {
    this.waiting.show(items.slice(0, this.waitingShown), total, items[this.waitingShown]?.id ?? null);
    one(".queue-waiting-empty", this).hidden = total > 0;
    one(".queue-cancel-all", this).hidden = total === 0;
    const count = one(".queue-count", this);
    count.hidden = total === 0;
    count.textContent = number(total);
    const more = one(".queue-waiting-more", this);
    more.hidden = items.length <= this.waitingShown;
    more.textContent = t("Show more ({n} are not shown)", { n: number(total - this.waiting.jobs.length) });
  }

  /** Seconds that the waiting jobs will take, as far as earlier ones tell. */
  async askEstimate() {
    const { jobs, total } = this.waiting;
    const some = jobs.slice(0, ESTIMATED);
    const key = `${total} ${some.map((job) => job.id).join()}`;
    if (key === this.estimatedFor) return;
    this.estimatedFor = key;
    if (some.length) {
      const asked = some.map(({ kind, request }) => ({ kind, request }));
      const found = await api.post("/api/v1/jobs/estimate", { jobs: asked }).catch(() => null);
      this.estimate = found?.seconds == null ? null : (found.seconds * total) / some.length;
    } else this.estimate = 0;
    this.summarise();
  }

  summarise() {
    const left = this.running.map((item) => item.progress?.seconds_left);
    const known = left.every((seconds) => seconds !== null && seconds !== undefined) && this.estimate !== null;
    const seconds = known ? Math.max(0, ...left, 0) + this.estimate : null;
    const words = queueWords(this.running.length, this.waiting.total, this.running.length + this.waiting.total ? seconds : null);
    const summary = one(".queue-summary", this);
    if (summary.textContent !== words) summary.textContent = words;
  }

  async cancelAll() {
    const count = this.waiting.total;
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

  /** From the start as far as it was shown, or what follows. */
  async loadHistory(cursor = null) {
    const state = one("select[name=state]", this).value;
    const kind = one("select[name=kind]", this).value;
    const q = one("input[name=text]", this).value.trim();
    const pages = Math.max(Math.ceil(this.history.length / PAGE), 1);
    const limit = cursor ? PAGE : Math.min(pages * PAGE, MOST_PAGE);
    const load = (this.historyLoads = (this.historyLoads ?? 0) + 1);
    try {
      const found = await api.get("/api/v1/jobs", { state: state || ENDED, kind, q, lane: this.lane, cursor, limit });
      if (load !== this.historyLoads) return;
      this.history = cursor ? [...this.history, ...found.items] : found.items;
      this.next = found.next;
      this.showHistory();
    } catch (error) {
      if (error.status) showError(error);
    }
  }

  showHistory() {
    const on = { gone: (id) => this.forget(id), changed: () => (this.refresh(), this.loadHistory()) };
    const said = (job) => [job.state, job.attempt, job.ended, job.images?.length];
    showRows(one(".queue-history-list", this), this.history, said, (job) => historyItem(job, this.kindLabel(job), on));
    one(".queue-more", this).hidden = !this.next;
    const empty = one(".queue-history-empty", this);
    empty.hidden = this.history.length > 0;
    empty.textContent = t("No job has been done yet, or none that fits.");
  }

  forget(id) {
    const before = this.history.length;
    this.history = this.history.filter((job) => job.id !== id);
    if (this.history.length !== before) this.showHistory();
  }
}

customElements.define("sf-queue", QueuePage);
