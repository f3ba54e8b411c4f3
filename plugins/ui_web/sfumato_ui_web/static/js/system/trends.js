/** What requests took: the peak of each phase, every time the same request was drawn on the same device. */

import { api } from "../api.js";
import { fill, h, one } from "../dom.js";
import { duration, fileSize, t, tn } from "../i18n.js";
import { recall, remember } from "../state.js";
import { showError } from "../toast.js";
import { MemoryChart } from "./chart.js";

const QUERY = "/api/v1/queries/memory_records";
const MOST_PHASES = 5;
const MOST_RECORDS = 500;

export class Trends {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.choice = one("select", place);
    this.asTable = false;
    this.choice.addEventListener("change", () => (remember("system.trend", this.choice.value), this.choose().catch(showError)));
    one(".system-trends-as-table", place).addEventListener("click", (event) => this.toggleTable(event.target));
  }

  async load() {
    const { items } = await api.post(QUERY, { most: MOST_RECORDS });
    const newest = items.at(-1)?.id;
    if (newest === this.newest) return;
    this.newest = newest;
    this.kinds = byKind(items);
    this.place.hidden = this.kinds.size === 0;
    const chosen = this.choice.value || recall("system.trend", "");
    fill(this.choice, [...this.kinds].map(([key, record]) => h("option", { value: key }, nameOf(record))));
    if (this.kinds.has(chosen)) this.choice.value = chosen;
    await this.choose();
  }

  /** All records of the chosen request: among the newest of all requests there may be few of them. */
  async choose() {
    const chosen = this.choice.value;
    if (!this.kinds.has(chosen)) return;
    const { fingerprint, device } = this.kinds.get(chosen);
    const { items } = await api.post(QUERY, { fingerprint, device, most: MOST_RECORDS });
    if (chosen === this.choice.value) this.show(items.filter((record) => keyOf(record) === chosen));
  }

  /** @param {Record<string, any>[]} records Of one request on one device, oldest first. */
  show(records) {
    this.records = records;
    if (!records.length) return;
    const chart = new MemoryChart(nameOf(records.at(-1)));
    fill(one(".system-trend", this.place), [chart.element]);
    const series = phasesOf(records).map((phase) => ({ name: phase, connected: true, points: peaksOf(records, phase) }));
    const top = Math.max(1, ...series.flatMap((line) => line.points.map(([, bytes]) => bytes)));
    const from = records[0].at;
    chart.show(series, { from, to: Math.max(records.at(-1).at, from + 60), top: top * 1.05 });
    chart.asTable = this.asTable;
    one(".system-trend-facts", this.place).textContent = factsOf(records).join(" · ");
  }

  toggleTable(button) {
    this.asTable = !this.asTable;
    button.setAttribute("aria-pressed", String(this.asTable));
    this.show(this.records ?? []);
  }
}

/** The newest record of each request and device, those drawn last first. */
function byKind(records) {
  const kinds = new Map();
  for (const record of records.toReversed()) if (!kinds.has(keyOf(record))) kinds.set(keyOf(record), record);
  return kinds;
}

function keyOf({ fingerprint, device }) {
  return `${fingerprint} ${device}`;
}

function nameOf({ description, fingerprint, device }) {
  return `${description || fingerprint} (${device})`;
}

function phasesOf(records) {
  const known = records.flatMap((record) => record.phases.filter((phase) => phase.peak).map((phase) => phase.phase));
  return [...new Set(known)].slice(0, MOST_PHASES);
}

function peaksOf(records, name) {
  return records.flatMap((record) => record.phases.filter((phase) => phase.phase === name && phase.peak).map((phase) => [record.at, phase.peak]));
}

/** The last time in words: how long it took, how the weights lay, and how far off the forecast was. */
function factsOf(records) {
  const last = records.at(-1);
  const highest = last.phases.reduce((most, phase) => (phase.peak > (most?.peak ?? 0) ? phase : most), null);
  const facts = [tn("drawn {n} time", "drawn {n} times", records.length), t("{time} the last time", { time: duration(last.seconds) }), last.plan];
  if (highest?.predicted) facts.push(t("{predicted} foretold, {peak} taken", { predicted: fileSize(highest.predicted), peak: fileSize(highest.peak) }));
  if (last.retried) facts.push(t("The memory ran out at first"));
  return facts.filter(Boolean);
}
