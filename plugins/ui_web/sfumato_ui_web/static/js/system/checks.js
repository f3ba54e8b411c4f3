/** The health checks: run on demand by a process of their own, and shown as they come in. */

import { api } from "../api.js";
import { fill, h, one } from "../dom.js";
import { moment, t, tn } from "../i18n.js";
import { showError } from "../toast.js";

const ASK_AGAIN = 1000;

export class Checks {
  /** @param {HTMLElement} place @param {string} address */
  constructor(place, address) {
    this.place = place;
    this.address = address;
    this.button = one(".system-run-checks", place);
    this.button.addEventListener("click", () => this.start());
  }

  async start() {
    try {
      this.show(await api.post(this.address));
    } catch (error) {
      showError(error);
    }
  }

  async load() {
    this.show(await api.get(this.address));
  }

  show(found) {
    const status = one(".system-checks-status", this.place);
    this.button.disabled = found.state === "running";
    if (found.state === "running") {
      status.textContent = t("Checking …");
      setTimeout(() => this.load().catch(showError), ASK_AGAIN);
      return;
    }
    if (found.state === "failed") return void (status.textContent = found.problem);
    if (found.state !== "done") return;
    const results = found.checks.flatMap((check) => check.results);
    const bad = results.filter((result) => result.state !== "ok").length;
    const what = bad ? tn("{n} thing wants a look.", "{n} things want a look.", bad) : t("All is well.");
    status.textContent = `${what} ${t("Checked {when}.", { when: moment(found.at * 1000) })}`;
    fill(one(".system-checks-found", this.place), found.checks.map((check) => group(check)));
  }
}

function group(check) {
  const worst = ["problem", "warning"].find((state) => check.results.some((result) => result.state === state));
  const words = { problem: t("problem"), warning: t("warning") };
  return h(
    "details",
    { class: "check-group", open: Boolean(worst) },
    h("summary", null, h("span", { class: "check-name" }, check.label), h("span", { class: `badge ${{ problem: "danger", warning: "warn" }[worst] ?? "ok"}` }, words[worst] ?? t("well"))),
    h("ul", null, check.results.map((result) => h("li", { class: `check ${result.state}` }, h("strong", null, result.label), h("span", null, result.detail), result.hint && h("span", { class: "muted check-hint" }, result.hint)))),
  );
}
