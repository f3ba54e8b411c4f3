/** What a prompt file comes to is shown before anything is queued. */

import { fill, h } from "../dom.js";
import { openDialog } from "../dialog.js";
import { t, tn } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { worksOf } from "./batch_file.js";
import { estimate, newKey, submitAll } from "./submitting.js";
import { amount } from "./words.js";

const LISTED = 100;

/** @param {File} file @param {any} formRequest @param {(jobs: any[]) => void} queued */
export async function askForBatch(file, formRequest, queued) {
  const text = await file.text();
  const key = newKey();
  const { prompt, ...settings } = formRequest;
  const base = h("input", { type: "checkbox", id: "batch-base", checked: !/\.json$/i.test(file.name) });
  const summary = h("p", { class: "batch-summary", role: "status" }, t("Counting …"));
  const list = h("ol", { class: "batch-list" });
  const go = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "button primary", autofocus: true, disabled: true }, t("Queue them")));
  const close = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, t("Cancel"));
  const dialog = openDialog({
    title: file.name, wide: true, actions: [close, go],
    content: [summary, h("label", { class: "check" }, base, t("What an entry leaves open is as in the form")), list],
  });
  let works = [];

  async function look() {
    go.disabled = true;
    try {
      works = worksOf(file.name, text, base.checked ? settings : {});
    } catch (error) { return void tellProblem(summary, error.message); }
    fill(list, works.slice(0, LISTED).map(row), works.length > LISTED && h("li", { class: "muted" }, tn("and 1 more", "and {n} more", works.length - LISTED)));
    const sum = await estimate(works).catch((error) => ({ images: works.length, seconds: null, problems: [error.message] }));
    fill(summary, h("strong", null, amount(sum)), sum.problems?.length ? h("ul", { class: "batch-problems" }, sum.problems.map((problem) => h("li", null, problem))) : null);
    go.disabled = Boolean(sum.problems?.length);
    if (go.disabled && works.length > 1) await blame(works, list);
  }

  go.addEventListener("click", async () => {
    go.disabled = true;
    try {
      const jobs = await submitAll(works, key);
      dialog.close();
      queued(jobs);
      toast(tn("1 job is queued.", "{n} jobs are queued.", jobs.length), { kind: "ok" });
    } catch (error) {
      go.disabled = false;
      showError(error);
    }
  });
  base.addEventListener("change", look);
  await look();
}

function row(work) {
  const { prompt, base, prompts, ...others } = work.request;
  const said = prompt ?? tn("1 line", "{n} lines", prompts?.lines.length ?? 1);
  const settings = Object.entries(others).map(([name, value]) => `${name} ${typeof value === "object" ? "…" : value}`).join(" · ");
  return h("li", null, h("span", { class: "batch-prompt" }, said || t("Without a prompt")), settings && h("span", { class: "muted small-text" }, ` ${settings}`));
}

function tellProblem(summary, problem) { fill(summary, h("span", { class: "queue-bad" }, problem)); }

/** Say at each entry what is wrong with it. */
async function blame(works, list) {
  for (const [index, work] of works.slice(0, LISTED).entries()) {
    const { problems } = await estimate([work]).catch((error) => ({ problems: [error.message] }));
    if (problems?.length) list.children[index]?.append(h("p", { class: "queue-bad" }, problems.join(" ")));
  }
}
