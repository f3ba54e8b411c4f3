/** What was done before: one row a job, with pictures, or the reason why there are none. */

import { api } from "../api.js";
import { h, icon } from "../dom.js";
import { duration, t, tn } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { timeElement } from "../ago.js";
import { stateClass, stateWord, titleOf } from "./words.js";

const MOST_PICTURES = 6;
const RETRY = "M20 12a8 8 0 1 1-2.3-5.7M20 4v4.5h-4.5";
const REMOVE = "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13";

/**
 * @param {any} job @param {string} kind How its kind of work is called.
 * @param {{gone: (id: string) => void, changed: () => void}} on
 */
export function historyItem(job, kind, on) {
  const name = titleOf(job);
  return h(
    "li",
    { class: `history-job ${job.state}`, dataset: { id: job.id } },
    pictures(job),
    h(
      "div",
      { class: "history-text" },
      h("div", { class: "history-head" }, h("span", { class: "history-title truncate", title: name }, name), h("span", { class: `badge ${stateClass(job.state)}` }, stateWord(job.state))),
      h("p", { class: "muted small-text" }, facts(job, kind)),
      job.problem && problem(job.problem),
      (job.warnings ?? []).map((text) => h("p", { class: "history-warning small-text" }, text)),
    ),
    h("div", { class: "history-actions" }, actions(job, name, on)),
  );
}

function facts(job, kind) {
  const parts = [kind];
  if (job.images?.length) parts.push(tn("{n} picture", "{n} pictures", job.images.length));
  if (job.started && job.ended) parts.push(duration((new Date(job.ended) - new Date(job.started)) / 1000));
  if (job.attempt > 1) parts.push(t("begun {n} times", { n: job.attempt }));
  return [parts.join(" · "), " · ", timeElement(job.ended ?? job.created)];
}

function pictures(job) {
  const images = job.images ?? [];
  const shown = images.slice(0, MOST_PICTURES).map((image) =>
    h(
      "a",
      { href: image.url, target: "_blank", rel: "noopener" },
      h("img", { src: image.id ? `/api/v1/pictures/${image.id}/thumbnail?size=128` : image.url, alt: t("Picture with seed {seed}", { seed: image.seed ?? "?" }), loading: "lazy", width: 56, height: 56, dataset: { file: image.url } }),
    ),
  );
  if (images.length > MOST_PICTURES) shown.push(h("span", { class: "muted small-text" }, `+${images.length - MOST_PICTURES}`));
  return h("div", { class: "history-pictures" }, shown);
}

function problem(found) {
  return h(
    "div",
    { class: "history-problem" },
    h("p", null, h("strong", null, found.what), found.why && ` ${found.why}`),
    found.hint && h("p", { class: "muted" }, found.hint),
    found.log?.length > 0 && h("details", null, h("summary", null, t("Last lines of the log")), h("pre", { class: "mono", tabindex: "0" }, found.log.join("\n"))),
  );
}

function actions(job, name, on) {
  const act = async (work) => {
    try {
      await work();
    } catch (error) {
      showError(error);
    }
  };
  const retry = () =>
    act(async () => {
      await api.post(`/api/v1/jobs/${job.id}/retry`);
      toast(t("Queued again."), { kind: "ok" });
      on.changed();
    });
  const remove = () =>
    act(async () => {
      await api.delete(`/api/v1/jobs/${job.id}`);
      on.gone(job.id);
    });
  return [
    job.state !== "done" && h("button", { type: "button", class: "button small", dataset: { part: "retry" }, onclick: retry, "aria-label": t("Try “{name}” again", { name }) }, icon(RETRY), t("Try again")),
    h("button", { type: "button", class: "icon-button", dataset: { part: "forget" }, onclick: remove, title: t("Forget it; its pictures stay"), "aria-label": t("Forget “{name}”", { name }) }, icon(REMOVE)),
  ];
}
