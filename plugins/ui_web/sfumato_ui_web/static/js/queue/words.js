/** What is said of jobs. */

import { duration, number, t, tn } from "../i18n.js";

/** @param {string} state */
export function stateWord(state) {
  const words = {
    queued: t("Waiting"),
    running: t("Running"),
    done: t("Done"),
    failed: t("Failed"),
    cancelled: t("Cancelled"),
    interrupted: t("Interrupted"),
  };
  return words[state] ?? state;
}

/** The class of the badge for a state. */
export function stateClass(state) {
  return { done: "ok", failed: "danger", interrupted: "warn", running: "accent" }[state] ?? "";
}

/** What the job makes, in a line. */
export function titleOf(job) {
  return (job.label && t(job.label)) || job.request?.prompt || job.request?.base?.prompt || t("Without a name");
}

/** "Sampling, step 3 of 20, picture 2 of 4". */
export function progressWords(progress) {
  if (!progress) return t("Starting …");
  const phases = {
    loading: t("Loading the model"),
    encoding: t("Reading the prompt"),
    sampling: t("Sampling"),
    decoding: t("Decoding"),
    saving: t("Saving"),
  };
  const parts = [phases[progress.phase] ?? progress.phase];
  if (progress.detail && !progress.steps) parts.push(progress.detail);
  if (progress.steps) parts.push(t("step {step} of {steps}", { step: progress.step, steps: progress.steps }));
  if (progress.batches > 1) parts.push(t("batch {batch} of {batches}", { batch: progress.batch + 1, batches: progress.batches }));
  if (progress.steps_per_second) parts.push(t("{rate} steps/s", { rate: number(progress.steps_per_second, { maximumFractionDigits: 1 }) }));
  return parts.filter(Boolean).join(" · ");
}

/** How much is to be done, and when it will be. @param {number | null} seconds */
export function queueWords(running, waiting, seconds) {
  if (!running && !waiting) return t("Nothing is being done.");
  const parts = [];
  if (running) parts.push(tn("{n} job is running", "{n} jobs are running", running));
  if (waiting) parts.push(tn("{n} waits", "{n} wait", waiting));
  if (seconds !== null) {
    const end = new Date(Date.now() + seconds * 1000);
    const clock = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { timeStyle: "short" }).format(end);
    parts.push(t("all done in about {time}, at {clock}", { time: duration(seconds), clock }));
  }
  return `${parts.join(", ")}.`;
}
