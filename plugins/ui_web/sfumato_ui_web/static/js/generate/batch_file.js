/** Prompt files: JSON with a list of requests, or {"defaults": ..., "prompts": [...]}; text with a prompt a line. */

import { t } from "../i18n.js";

/** @typedef {{work: import("./submitting.js").Work}} Entry */

/** A file that holds prompts. @param {File} file */
export function isPromptFile(file) { return /\.(json|txt)$/i.test(file.name) || ["application/json", "text/plain"].includes(file.type); }

/**
 * The work that a file asks for.
 * @param {string} name @param {string} text @param {any} base What each takes where it says nothing itself.
 * @returns {import("./submitting.js").Work[]}
 * @throws {Error} With words for people.
 */
export function worksOf(name, text, base) {
  return /\.json$/i.test(name) ? fromJson(text, base) : fromText(text, base);
}

function fromText(text, base) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line && !line.startsWith("#"));
  if (!lines.length) throw new Error(t("There is no prompt in this file."));
  const hasOptions = lines.some((line) => line.startsWith("--"));
  if (hasOptions) return [{ kind: "grid", request: { base, prompts: { lines } } }];
  return lines.map((prompt) => ({ kind: "generate", request: { ...base, prompt } }));
}

function fromJson(text, base) {
  const content = parsed(text);
  const defaults = isRequest(content) && isRequest(content.defaults) ? content.defaults : {};
  const entries = Array.isArray(content) ? content : content?.prompts ?? content?.requests ?? [content];
  if (!Array.isArray(entries) || !entries.length) throw new Error(t("There is no prompt in this file."));
  return entries.map((entry, index) => ({ kind: "generate", request: merged(base, defaults, requestOf(entry, index)) }));
}

function parsed(text) {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new Error(t("This is not JSON: {why}", { why: error.message }));
  }
}

const isRequest = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function requestOf(entry, index) {
  if (typeof entry === "string") return { prompt: entry };
  if (isRequest(entry)) return entry;
  throw new Error(t("Entry {n} is neither a prompt nor a request.", { n: index + 1 }));
}

/** Later ones win; sections are merged field by field. */
function merged(...requests) {
  const whole = {};
  for (const request of requests) {
    for (const [name, value] of Object.entries(request)) {
      whole[name] = isRequest(value) && isRequest(whole[name]) ? merged(whole[name], value) : value;
    }
  }
  return whole;
}
