/** The worker processes: what they do, how they died last, and the end of their logs. */

import { api } from "../api.js";
import { fill, h, icon, one } from "../dom.js";
import { confirmDialog, openDialog } from "../dialog.js";
import { t, tn } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { copyText } from "../clipboard.js";
import { timeElement } from "../ago.js";

export class Workers {
  /** @param {HTMLElement} place @param {string} log Address of a lane's log, with LANE in it. */
  constructor(place, log) {
    this.place = place;
    this.log = log;
    this.list = one(".system-worker-list", place);
  }

  async load() {
    const { items } = await api.get("/api/v1/workers");
    one(".system-no-workers", this.place).hidden = items.length > 0;
    const text = JSON.stringify(items);
    if (text === this.shown) return;
    this.shown = text;
    const focused = document.activeElement?.closest?.(".worker")?.dataset.lane;
    const label = document.activeElement?.dataset?.part;
    fill(this.list, items.map((worker) => this.item(worker)));
    if (focused) one(`[data-lane="${focused}"] [data-part="${label}"]`, this.list)?.focus();
  }

  item(worker) {
    const lanes = { device: t("On the device"), background: t("In the background") };
    const words = { starting: t("starting"), idle: t("idle"), busy: t("at work"), restarting: t("restarting"), stopped: t("stopped") };
    const kind = { idle: "ok", busy: "accent", restarting: "warn", stopped: "" }[worker.state] ?? "";
    const facts = [];
    if (worker.process) facts.push(t("process {id}", { id: worker.process }));
    if (worker.restarts) facts.push(tn("died {n} time", "died {n} times", worker.restarts));
    return h(
      "li",
      { class: "worker", dataset: { lane: worker.lane } },
      h(
        "div",
        { class: "worker-text" },
        h("p", { class: "worker-name" }, h("strong", null, lanes[worker.lane] ?? worker.lane), h("span", { class: `badge ${kind}` }, words[worker.state] ?? worker.state)),
        h("p", { class: "muted small-text" }, facts.join(" · "), worker.since && [facts.length ? " · " : "", t("since"), " ", timeElement(worker.since)], worker.job && [" · ", h("a", { href: "/queue/" }, t("its job"))]),
        worker.problem && h("p", { class: "worker-problem small-text" }, worker.problem),
      ),
      h(
        "div",
        { class: "cluster" },
        h("button", { type: "button", class: "button small quiet", dataset: { part: "log" }, onclick: () => this.showLog(worker) }, t("Log")),
        h("button", { type: "button", class: "button small", dataset: { part: "restart" }, onclick: () => this.restart(worker) }, icon("M20 12a8 8 0 1 1-2.3-5.7M20 4v4.5h-4.5"), t("Restart")),
      ),
    );
  }

  async restart(worker) {
    const sure = await confirmDialog({ title: t("Restart this worker?"), text: t("It ends once its job is over, lets go of its models, and starts anew with the settings and plugins of now."), confirm: t("Restart") });
    if (!sure) return;
    try {
      await api.post(`/api/v1/workers/${worker.lane}/restart`);
      toast(t("It starts anew once its job is over."), { kind: "ok" });
      await this.load();
    } catch (error) {
      showError(error);
    }
  }

  async showLog(worker) {
    const found = await api.get(this.log.replace("LANE", worker.lane)).catch(() => ({ text: "" }));
    const text = h("pre", { class: "mono worker-log", tabindex: "0" }, found.text || t("Nothing is logged."));
    const close = h("button", { type: "button", class: "button", autofocus: true, onclick: () => dialog.close() }, t("Close"));
    const copy = h("button", { type: "button", class: "button", onclick: () => copyText(found.text).then(() => toast(t("Copied."), { kind: "ok", seconds: 3 })) }, t("Copy"));
    const dialog = openDialog({ title: t("The end of the log"), content: text, actions: [copy, close], wide: true });
    text.scrollTop = text.scrollHeight;
  }
}
