/** The page System: memory over time, worker processes, health. */

import { api } from "../api.js";
import { all, fill, h, one } from "../dom.js";
import { onEvent } from "../events.js";
import { fileSize, t } from "../i18n.js";
import { recall, remember } from "../state.js";
import { showError, toast } from "../toast.js";
import { copyText } from "../clipboard.js";
import { MemoryChart } from "./chart.js";
import { Checks } from "./checks.js";
import { Trends } from "./trends.js";
import { Workers } from "./workers.js";

const EVERY = 5000;

class SystemPage extends HTMLElement {
  connectedCallback() {
    this.charts = new Map();
    this.asTable = false;
    this.span = one("select[name=span]", this);
    this.span.value = recall("system.span", "1800");
    if (!this.span.value) this.span.value = "1800";
    this.span.addEventListener("change", () => (remember("system.span", this.span.value), this.loadMemory()));
    one(".system-as-table", this).addEventListener("click", (event) => this.toggleTable(event.target));
    one(".system-copy-versions", this).addEventListener("click", () => this.copyVersions());
    this.workers = new Workers(one(".system-workers", this), this.dataset.log);
    this.checks = new Checks(one(".system-checks", this), this.dataset.checks);
    this.checks.load().catch(() => undefined);
    const trends = this.querySelector(".system-trends");
    this.trends = trends ? new Trends(trends) : null;
    this.trends?.load().catch(() => undefined);
    onEvent("job_changed", () => Promise.all([this.workers.load(), this.trends?.load()]).catch(() => undefined));
    this.update(true);
    setInterval(() => document.visibilityState === "visible" && this.update(), EVERY);
  }

  async update(tell = false) {
    try {
      await Promise.all([this.loadMemory(), this.workers.load()]);
    } catch (error) {
      if (tell) showError(error);
    }
  }

  async loadMemory() {
    const found = await api.get(this.dataset.memory, { seconds: this.span.value });
    const latest = latestOfEach(found.samples);
    this.showMeters(found, latest);
    this.showCharts(found);
    this.showModels(latest);
  }

  showMeters(found, latest) {
    const meters = [meter(t("Main memory"), found.total - found.available, found.total)];
    const devices = new Map(latest.flatMap((sample) => sample.devices.map((device) => [device.device, device])));
    for (const device of devices.values()) if (device.total) meters.push(meter(device.label || device.device, device.total - device.free, device.total, device.peak));
    for (const sample of latest) meters.push(meter(t("Worker process {id}", { id: sample.process_id }), sample.process, found.total, sample.peak && Math.max(sample.process, sample.peak + sample.mapped)));
    fill(one(".system-meters", this), meters);
  }

  showCharts(found) {
    const place = one(".system-charts", this);
    const wanted = chartsOf(found);
    one(".system-no-memory", this).hidden = found.samples.length > 0;
    one(".system-as-table", this).hidden = found.samples.length === 0;
    for (const [title, chart] of this.charts) if (!wanted.has(title)) (chart.element.remove(), this.charts.delete(title));
    for (const [title, { series, top }] of wanted) {
      if (!this.charts.has(title)) {
        const chart = new MemoryChart(title);
        chart.asTable = this.asTable;
        this.charts.set(title, chart);
        place.append(chart.element);
      }
      const chart = this.charts.get(title);
      if (chart.at === undefined || chart.at === null) chart.show(series, { from: firstMoment(found), to: found.now, top });
    }
  }

  showModels(latest) {
    const models = latest.flatMap((sample) => sample.models);
    const place = one(".system-models", this);
    place.hidden = models.length === 0;
    fill(one("ul", place), models.map(modelItem));
  }

  toggleTable(button) {
    this.asTable = !this.asTable;
    button.setAttribute("aria-pressed", String(this.asTable));
    for (const chart of this.charts.values()) chart.asTable = this.asTable;
  }

  async copyVersions() {
    const lines = all(".system-version-list > div", this).map((row) => `${one("dt", row).textContent}: ${one("dd", row).textContent}`);
    await copyText(lines.join("\n"));
    toast(t("Copied."), { kind: "ok", seconds: 3 });
  }
}

/** Where the chart begins: not long before the first sample, so that a new studio's chart is not all but empty. */
function firstMoment(found) {
  const first = found.samples[0]?.at ?? found.now;
  return Math.max(found.now - found.seconds, Math.min(first - 5, found.now - 60));
}

/** The newest sample of each process that still runs: one that is silent for half a minute does not. */
function latestOfEach(samples) {
  const newest = new Map(samples.map((sample) => [sample.process_id, sample]));
  const end = samples.at(-1)?.at ?? 0;
  return [...newest.values()].filter((sample) => end - sample.at < 30 && Date.now() / 1000 - sample.at < 60);
}

/** A model, or one of its parts: where it lies, its size, and how much of it can be taken back at any time. */
function modelItem(model) {
  const name = model.part ? `${model.model} · ${model.part}` : model.model;
  const mapped = model.mapped ? t("{size} in files", { size: fileSize(model.mapped) }) : "";
  return h(
    "li",
    null,
    h("span", null, name),
    h("span", { class: "badge" }, model.device),
    h("span", { class: "muted" }, [fileSize(model.size), mapped].filter(Boolean).join(", ")),
  );
}

function meter(label, used, total, peak = 0) {
  const text = t("{used} of {total}", { used: fileSize(used), total: fileSize(total) });
  return h(
    "div",
    { class: "meter" },
    h("div", { class: "meter-head" }, h("span", { class: "truncate", title: label }, label), h("span", { class: "muted" }, text)),
    h("div", { class: "progress" }, h("progress", { max: total, value: used, "aria-label": `${label}: ${text}` })),
    peak > 0 && h("p", { class: "muted small-text" }, t("{size} at most in the newest request", { size: fileSize(peak) })),
  );
}

/** One chart for main memory, and one for each device: by title its lines and its upper end. */
function chartsOf(found) {
  const charts = new Map();
  const { samples } = found;
  if (!samples.length) return charts;
  const processes = [...new Set(samples.map((sample) => sample.process_id))].slice(-4);
  const of = (id) => samples.filter((sample) => sample.process_id === id).map((sample) => [sample.at, sample.process]);
  const several = processes.length > 1;
  const main = [
    { name: t("In use on this machine"), filled: true, points: samples.map((sample) => [sample.at, sample.total - sample.available]) },
    ...processes.map((id) => ({ name: several ? t("Worker process {id}", { id }) : t("Worker process"), points: of(id) })),
  ];
  charts.set(t("Main memory"), { series: main, top: Math.max(...samples.map((sample) => sample.total)) });
  const names = new Map(samples.flatMap((sample) => sample.devices.map((device) => [device.device, device])));
  for (const [name, device] of names) {
    const points = (value) => samples.flatMap((sample) => sample.devices.filter((one_) => one_.device === name).map((one_) => [sample.at, value(one_)]));
    const series = [
      { name: t("In use by all programs"), filled: true, points: points((one_) => one_.total - one_.free) },
      { name: t("Held by the studio"), points: points((one_) => one_.reserved) },
      { name: t("In tensors"), points: points((one_) => one_.allocated) },
    ];
    charts.set(`${device.label || name} (${name})`, { series, top: device.total || 1 });
  }
  return charts;
}

customElements.define("sf-system", SystemPage);
