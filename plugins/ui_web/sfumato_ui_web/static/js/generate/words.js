/** Numbers and states in words. */

import { duration as inUnits, t, tn } from "../i18n.js";

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

const PHASES = { loading: "Loading", encoding: "Reading the prompt", sampling: "Sampling", decoding: "Decoding", saving: "Saving" };

/** "Sampling 12/20 · 3.4 it/s · 8 s left" @param {any} progress */
export function progressLine(progress) {
  if (!progress) return t("Starting");
  const phase = PHASES[progress.phase] ? t(PHASES[progress.phase]) : progress.phase || t("Starting");
  const sampling = progress.phase === "sampling" && progress.steps;
  const parts = [sampling ? `${phase} ${progress.step}/${progress.steps}` : [phase, progress.detail].filter(Boolean).join(" ")];
  if (progress.batches > 1) parts.push(t("batch {n} of {all}", { n: progress.batch + 1, all: progress.batches }));
  if (sampling && progress.steps_per_second) parts.push(`${progress.steps_per_second.toFixed(progress.steps_per_second < 10 ? 1 : 0)} it/s`);
  if (progress.seconds_left != null) parts.push(t("{time} left", { time: duration(progress.seconds_left) }));
  return parts.join(" · ");
}

const STATES = { queued: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled", interrupted: "Cut short" };

/** @param {string} state */
export function stateWord(state) { return t(STATES[state] ?? state); }

/** What a job is called: its prompt, or its kind. @param {any} job */
export function nameOf(job) {
  return job.label || job.request?.prompt || job.request?.base?.prompt || t("Without a prompt");
}
