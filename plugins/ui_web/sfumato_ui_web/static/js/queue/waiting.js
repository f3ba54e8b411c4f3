/** The list of jobs that wait: moved by dragging or by keys, and given a priority. */

import { api } from "../api.js";
import { h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { timeElement } from "../ago.js";
import { showRows } from "./rows.js";
import { titleOf } from "./words.js";

const GRIP = "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01";
const CLOSE = "M6 6l12 12M18 6L6 18";

export class WaitingList {
  /**
   * @param {HTMLElement} list @param {HTMLElement} announcement
   * @param {(job: any) => string} kindLabel @param {() => void} changed Called when the order is asked for anew.
   */
  constructor(list, announcement, kindLabel, changed) {
    this.list = list;
    this.announcement = announcement;
    this.kindLabel = kindLabel;
    this.changed = changed;
    this.jobs = [];
    this.total = 0;
    this.beyond = /** @type {string | null} */ (null);
    this.lifted = null;
    list.addEventListener("pointerdown", (event) => this.drag(event));
    list.addEventListener("keydown", (event) => this.key(event));
  }

  /** Whether somebody is moving a job now: then the list must stay as it is. */
  get busy() {
    return this.lifted !== null;
  }

  /**
   * @param {any[]} jobs The next ones, in the order of their turn.
   * @param {number} [total] How many wait in all.
   * @param {string | null} [beyond] The first one that is not shown.
   */
  show(jobs, total = jobs.length, beyond = null) {
    if (this.busy) return;
    Object.assign(this, { jobs, total, beyond });
    showRows(this.list, jobs, (job) => [titleOf(job), job.priority, job.attempt], (job) => this.item(job));
    [...this.list.children].forEach((row, index) => this.number(row, jobs[index], index + 1));
  }

  number(row, job, place) {
    if (row.dataset.place === String(place)) return;
    row.dataset.place = row.querySelector(".waiting-place").textContent = String(place);
    row.firstChild.setAttribute("aria-label", t("Move “{name}”, now in place {place}", { name: titleOf(job), place }));
  }

  item(job) {
    const name = titleOf(job);
    return h(
      "li",
      { class: "waiting-job", dataset: { id: job.id } },
      h(
        "button",
        { type: "button", class: "icon-button waiting-grip", "aria-describedby": "queue-reorder-help", dataset: { part: "grip" } },
        icon(GRIP),
      ),
      h("span", { class: "waiting-place muted", "aria-hidden": "true" }),
      h(
        "div",
        { class: "waiting-text" },
        h("span", { class: "waiting-title truncate", title: name }, name),
        h("span", { class: "muted small-text" }, this.kindLabel(job), job.attempt > 0 && ` · ${t("begun {n} times", { n: job.attempt })}`, " · ", timeElement(job.created)),
      ),
      this.priority(job, name),
      h("button", { type: "button", class: "icon-button", title: t("Cancel"), "aria-label": t("Cancel “{name}”", { name }), dataset: { part: "cancel" }, onclick: () => this.cancel(job) }, icon(CLOSE)),
    );
  }

  priority(job, name) {
    const known = [
      [10, t("First")],
      [0, t("Normal")],
      [-10, t("Last")],
    ];
    if (!known.some(([value]) => value === job.priority)) known.push([job.priority, String(job.priority)]);
    const select = h("select", { class: "small", "aria-label": t("Priority of “{name}”", { name }), dataset: { part: "priority" } }, known.map(([value, text]) => h("option", { value }, text)));
    select.value = String(job.priority);
    select.addEventListener("change", () => this.send(`/api/v1/jobs/${job.id}/priority`, { priority: Number(select.value) }));
    return select;
  }

  async cancel(job) {
    await this.send(`/api/v1/jobs/${job.id}/cancel`);
    toast(t("Cancelled."), { kind: "ok", action: t("Queue it again"), onAction: () => this.send(`/api/v1/jobs/${job.id}/retry`) });
  }

  async send(path, body) {
    try {
      await api.post(path, body);
    } catch (error) {
      showError(error);
    }
    this.changed();
  }

  // Dragging: the item follows the pointer by taking the place of those it passes.

  drag(event) {
    const grip = event.target.closest(".waiting-grip");
    if (!grip || event.button !== 0) return;
    event.preventDefault();
    const item = grip.closest(".waiting-job");
    grip.focus();
    this.lift(item);
    const move = (moved) => this.follow(moved.clientY, item);
    const end = (ended) => {
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", end);
      document.removeEventListener("pointercancel", end);
      if (ended.type === "pointercancel") this.drop(false);
      else this.drop(true);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
  }

  follow(y, item) {
    const others = [...this.list.children].filter((other) => other !== item);
    const next = others.find((other) => {
      const box = other.getBoundingClientRect();
      return y < box.top + box.height / 2;
    });
    if (next !== item.nextElementSibling) this.list.insertBefore(item, next ?? null);
  }

  // Keys: Space takes up and puts down, arrows move, Escape gives up.

  key(event) {
    const grip = event.target.closest(".waiting-grip");
    if (!grip) return;
    const item = grip.closest(".waiting-job");
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      if (this.lifted) return this.drop(true);
      this.lift(item);
      return this.announce(t("Taken up. Place {place} of {count}.", this.place(item)));
    }
    if (!this.lifted) return;
    const neighbour = { ArrowUp: item.previousElementSibling, ArrowDown: item.nextElementSibling }[event.key];
    if (event.key === "Escape") this.drop(false);
    else if (event.key === "ArrowUp" && neighbour) this.list.insertBefore(item, neighbour);
    else if (event.key === "ArrowDown" && neighbour) this.list.insertBefore(neighbour, item);
    else if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    grip.focus();
    if (this.lifted) this.announce(t("Place {place} of {count}.", this.place(item)));
  }

  place(item) {
    const items = [...this.list.children];
    return { place: items.indexOf(item) + 1, count: this.total };
  }

  announce(text) {
    this.announcement.textContent = text;
  }

  lift(item) {
    this.lifted = item;
    item.classList.add("lifted");
  }

  /** @param {boolean} keep Whether the job stays where it is now. */
  drop(keep) {
    const item = this.lifted;
    if (!item) return;
    const before = this.jobs.map((job) => job.id);
    const after = [...this.list.children].map((child) => child.dataset.id);
    item.classList.remove("lifted");
    this.lifted = null;
    if (!keep || before.join() === after.join()) {
      this.announce(t("Left where it was."));
      return this.show(this.jobs, this.total, this.beyond);
    }
    const next = after[after.indexOf(item.dataset.id) + 1] ?? this.beyond;
    this.jobs = after.map((id) => this.jobs.find((job) => job.id === id));
    this.announce(t("Put down at place {place} of {count}.", this.place(item)));
    this.show(this.jobs, this.total, this.beyond);
    this.send(`/api/v1/jobs/${item.dataset.id}/move`, { before: next });
  }
}
