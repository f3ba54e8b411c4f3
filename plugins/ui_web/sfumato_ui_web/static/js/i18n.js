/** Texts in the page's language. The English text is the key. */

import { meta } from "./dom.js";

export const locale = document.documentElement.lang || "en";

/** @type {{messages: Record<string, string | string[]>, forms: number[]}} */
const catalogue = await load();

async function load() {
  const address = meta("texts");
  if (!address) return { messages: {}, forms: [] };
  try {
    const answer = await fetch(address, { credentials: "same-origin" });
    if (answer.ok) return await answer.json();
  } catch {
    // English is better than nothing.
  }
  return { messages: {}, forms: [] };
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The text in the page's language; `{name}` stands for a value.
 * @param {string} text English.
 * @param {Record<string, any>} [values]
 */
export function t(text, values = {}) {
  const found = catalogue.messages[text];
  return filled((Array.isArray(found) ? found[0] : found) || text, values);
}

/**
 * A text with a number, which is also the value `{n}`.
 * @param {string} one English for 1. @param {string} many English for others. @param {number} n
 * @param {Record<string, any>} [values]
 */
export function tn(one, many, n, values = {}) {
  const found = catalogue.messages[one];
  const form = Array.isArray(found) ? found[formOf(n)] : undefined;
  return filled(form || (n === 1 ? one : many), { n: number(n), ...values });
}

/** Which plural form a number takes; the rules of all languages repeat with the last two digits. */
function formOf(n) {
  const whole = Math.abs(Math.trunc(n));
  return catalogue.forms[whole < 200 ? whole : 100 + (whole % 100)] ?? 0;
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export function number(value, options) {
  return new Intl.NumberFormat(locale, options).format(value);
}

/** Seconds as people say them: "12 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t("{n} s", { n: whole });
  if (whole < 3600) {
    const rest = whole % 60;
    return rest && whole < 600
      ? t("{m} min {s} s", { m: Math.floor(whole / 60), s: rest })
      : t("{m} min", { m: Math.round(whole / 60) });
  }
  return t("{h} h {m} min", { h: Math.floor(whole / 3600), m: Math.round((whole % 3600) / 60) });
}

/** A date and time as people read them. @param {string | number | Date} value */
export function moment(value) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(value));
}

/** Bytes as people read them: "1.5 GB" (1024 bytes are a KB). */
export function fileSize(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let size = bytes;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${number(size, { maximumFractionDigits: unit ? 1 : 0 })} ${units[unit]}`;
}
