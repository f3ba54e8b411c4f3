/** A chart of lines over time, drawn by hand as SVG; a pointer or the arrow keys read a moment off. */

import { h } from "../dom.js";
import { fileSize, locale, t } from "../i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const NARROWEST = 300;
const HEIGHT = 200;
const LEFT = 64;
const BOTTOM = 24;
const TOP = 8;
const GAP_SECONDS = 60;

/** @param {string} tag @param {Record<string, any>} attributes */
function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * @typedef {{name: string, points: [number, number][], filled?: boolean, connected?: boolean}} Series Points are seconds since 1970 and bytes; lines that are
 *   connected are not cut where nothing was recorded for a while.
 */
export class MemoryChart {
  /** @param {string} title */
  constructor(title) {
    this.title = title;
    this.readout = h("p", { class: "chart-readout", "aria-live": "polite" });
    this.legend = h("ul", { class: "chart-legend" });
    this.drawing = svg("svg", { height: HEIGHT, class: "chart", role: "img", tabindex: 0 });
    this.table = h("div", { class: "table-scroll chart-table", tabindex: "0", role: "region", "aria-label": title, hidden: true });
    this.element = h("figure", { class: "chart-figure" }, h("figcaption", { class: "chart-head" }, h("h3", null, title), this.legend), this.drawing, this.readout, this.table);
    this.drawing.addEventListener("pointermove", (event) => this.point(event));
    this.drawing.addEventListener("pointerleave", () => this.read(null));
    this.drawing.addEventListener("keydown", (event) => this.key(event));
    this.drawing.addEventListener("blur", () => this.read(null));
    new ResizeObserver(() => this.width !== this.drawing.clientWidth && this.series && this.show(this.series, this.bounds)).observe(this.element);
  }

  set asTable(wanted) {
    this.table.hidden = !wanted;
    this.drawing.toggleAttribute("hidden", wanted);
    this.readout.hidden = wanted;
    this.legend.hidden = wanted;
  }

  /**
   * @param {Series[]} series @param {{from: number, to: number, top: number}} bounds
   */
  show(series, bounds) {
    this.series = series;
    this.bounds = bounds;
    this.width = this.drawing.clientWidth;
    this.right = Math.max(NARROWEST, this.width) - 4;
    this.drawing.setAttribute("viewBox", `0 0 ${this.right + 4} ${HEIGHT}`);
    this.moments = [...new Set(series.flatMap((one) => one.points.map(([at]) => at)))].sort((one, other) => one - other);
    this.legend.replaceChildren(...series.map((one, index) => h("li", { class: `series-${index}` }, h("span", { class: "chart-key", "aria-hidden": "true" }), one.name)));
    this.marker = svg("g", { class: "chart-marker" });
    this.drawing.replaceChildren(...this.axes(), ...series.flatMap((one, index) => this.line(one, index)), this.marker);
    this.drawing.setAttribute("aria-label", `${this.title}. ${this.inWords()} ${t("Arrow keys read a moment off.")}`);
    this.fillTable();
  }

  x(at) {
    const { from, to } = this.bounds;
    return LEFT + ((at - from) / (to - from)) * (this.right - LEFT);
  }

  y(bytes) {
    return TOP + (1 - bytes / this.bounds.top) * (HEIGHT - TOP - BOTTOM);
  }

  axes() {
    const { from, to, top } = this.bounds;
    const across = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
      svg("line", { class: "chart-grid", x1: LEFT, x2: this.right, y1: this.y(top * part), y2: this.y(top * part) }),
      svg("text", { class: "chart-text", x: LEFT - 8, y: this.y(top * part) + 4, "text-anchor": "end" }, fileSize(top * part)),
    ]);
    const along = (this.right < 600 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((part) =>
      svg("text", { class: "chart-text", x: this.x(from + part * (to - from)), y: HEIGHT - 6, "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" }, clock(from + part * (to - from), to - from)),
    );
    return [...across, ...along];
  }

  /** Where nothing was recorded for a while, the line is cut: no worker ran. */
  line(one, index) {
    const runs = [];
    for (const point of one.points) {
      const run = runs.at(-1);
      const gap = one.connected ? Infinity : Math.max(GAP_SECONDS, (this.bounds.to - this.bounds.from) / 50);
      if (!run || point[0] - run.at(-1)[0] > gap) runs.push([point]);
      else run.push(point);
    }
    const path = (run) => run.map(([at, bytes], place) => `${place ? "L" : "M"}${this.x(at).toFixed(1)} ${this.y(bytes).toFixed(1)}`).join("");
    const area = (run) => `${path(run)}L${this.x(run.at(-1)[0]).toFixed(1)} ${this.y(0)}L${this.x(run[0][0]).toFixed(1)} ${this.y(0)}Z`;
    const parts = runs.map((run) => run.length > 1
      ? svg("path", { class: `chart-line series-${index}`, d: path(run) })
      : svg("path", { class: `chart-line chart-point series-${index}`, d: `${path(run)}h0.01` }));
    return one.filled ? [...runs.map((run) => svg("path", { class: `chart-area series-${index}`, d: area(run) })), ...parts] : parts;
  }

  inWords() {
    return this.series
      .filter((one) => one.points.length)
      .map((one) => t("{name}: {now} now, {most} at most.", { name: one.name, now: fileSize(one.points.at(-1)[1]), most: fileSize(Math.max(...one.points.map(([, bytes]) => bytes))) }))
      .join(" ");
  }

  point(event) {
    const box = this.drawing.getBoundingClientRect();
    const { from, to } = this.bounds;
    const part = (((event.clientX - box.left) / box.width) * (this.right + 4) - LEFT) / (this.right - LEFT);
    this.read(this.nearest(from + part * (to - from)));
  }

  nearest(at) {
    return this.moments.reduce((best, moment) => (best === null || Math.abs(moment - at) < Math.abs(best - at) ? moment : best), null);
  }

  key(event) {
    const now = this.at === null || this.at === undefined ? this.moments.length : this.moments.indexOf(this.at);
    const places = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: this.moments.length - 1 };
    if (!(event.key in places) || !this.moments.length) return;
    event.preventDefault();
    this.read(this.moments[Math.min(this.moments.length - 1, Math.max(0, places[event.key]))]);
  }

  /** @param {number | null} at */
  read(at) {
    this.at = at;
    this.marker?.replaceChildren();
    if (at === null || !this.series) return void (this.readout.textContent = "");
    const values = this.series.map((one) => [one, one.points.findLast(([moment]) => moment <= at + 0.001)]).filter(([, point]) => point);
    this.marker.append(svg("line", { x1: this.x(at), x2: this.x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    for (const [one, [, bytes]] of values) this.marker.append(svg("circle", { class: `series-${this.series.indexOf(one)}`, cx: this.x(at), cy: this.y(bytes), r: 4 }));
    this.readout.textContent = `${moment(at, this.bounds.to - this.bounds.from)}: ${values.map(([one, [, bytes]]) => `${one.name} ${fileSize(bytes)}`).join(", ")}`;
  }

  fillTable() {
    const step = Math.max(1, Math.ceil(this.moments.length / 30));
    const moments = this.moments.filter((_moment, index) => index % step === 0 || index === this.moments.length - 1).reverse();
    const span = this.bounds.to - this.bounds.from;
    const value = (one, at) => one.points.findLast(([moment]) => moment <= at + 0.001);
    this.table.replaceChildren(
      h(
        "table",
        { class: "table" },
        h("thead", null, h("tr", null, h("th", { scope: "col" }, t("Time")), this.series.map((one) => h("th", { scope: "col" }, one.name)))),
        h("tbody", null, moments.map((at) => h("tr", null, h("th", { scope: "row" }, moment(at, span)), this.series.map((one) => h("td", null, value(one, at) ? fileSize(value(one, at)[1]) : "–"))))),
      ),
    );
  }
}

/** To the second, with the date where others were on another day. */
function moment(at, span) {
  const date = span > 86400 ? { dateStyle: "short" } : {};
  return new Intl.DateTimeFormat(locale, { timeStyle: "medium", ...date }).format(at * 1000);
}

function clock(at, span) {
  const style = span > 8 * 86400 ? { day: "numeric", month: "short" } : span > 2 * 86400 ? { weekday: "short", hour: "numeric" } : span <= 600 ? { timeStyle: "medium" } : { timeStyle: "short" };
  return new Intl.DateTimeFormat(locale, style).format(at * 1000);
}
