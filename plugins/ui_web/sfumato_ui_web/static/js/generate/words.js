/** Numbers and states in words. */

import { duration as inUnits, number, t, tn } from "../i18n.js";

/** @param {number|null|undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  return seconds < 1 ? t("less than 1 s") : inUnits(seconds);
}

/** "36 images, about 4 min" @param {{images: number, seconds: number|null}} estimate */
export function amount(estimate) {
  const images = tn("1 image", "{n} images", estimate.images);
  const time = duration(estimate.seconds);
  if (!time) return images;
  return estimate.seconds < 1 ? `${images}, ${time}` : t("{images}, about {time}", { images, time });
}

const phases = { loading: t("Loading"), encoding: t("Reading the prompt"), sampling: t("Sampling"), decoding: t("Decoding"), saving: t("Saving") };

/** "Sampling 12/20 · 3.4 it/s · 8 s left" @param {any} progress */
export function progressLine(progress) {
  if (!progress) return t("Starting");
  const phase = phases[progress.phase] || progress.phase || t("Starting");
  const sampling = progress.phase === "sampling" && progress.steps;
  const parts = [sampling ? `${phase} ${progress.step}/${progress.steps}` : [phase, progress.detail].filter(Boolean).join(" ")];
  if (progress.batches > 1) parts.push(t("batch {n} of {all}", { n: progress.batch + 1, all: progress.batches }));
  if (sampling && progress.steps_per_second) parts.push(`${number(progress.steps_per_second, { maximumFractionDigits: progress.steps_per_second < 10 ? 1 : 0 })} it/s`);
  if (progress.seconds_left != null) parts.push(t("{time} left", { time: duration(progress.seconds_left) }));
  return parts.join(" · ");
}

const states = { queued: t("Waiting"), running: t("Running"), done: t("Done"), failed: t("Failed"), cancelled: t("Cancelled"), interrupted: t("Cut short") };

/** @param {string} state */
export function stateWord(state) { return states[state] ?? state; }

/** What a job is called: its prompt, or its kind. @param {any} job */
export function nameOf(job) {
  return (job.label && t(job.label)) || job.request?.prompt || job.request?.base?.prompt || t("Without a prompt");
}
