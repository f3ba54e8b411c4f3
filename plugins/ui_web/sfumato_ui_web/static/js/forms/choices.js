/** Names to choose from, as the server knows them. */

import { api } from "../api.js";
import { t } from "../i18n.js";

/** @typedef {{value: string, label: string, hint?: string}} Choice */

const FRESH_MS = 20_000;

/** Asks once for each source, and again when what is known may be old. */
class Choices {
  #known = new Map();

  /** @param {string} source @returns {Promise<Choice[]>} */
  of(source) {
    const known = this.#known.get(source);
    if (known && Date.now() - known.at < FRESH_MS) return known.items;
    const items = api.get(`/api/v1/choices/${source}`, { limit: 1000 }).then((answer) => answer.items.map((item) => inWords(item, source)));
    this.#known.set(source, { at: Date.now(), items });
    items.catch(() => this.#known.delete(source));
    return items;
  }
}

/** What plugins say of a name, in the page's language; names are names, but those of fields are words. */
function inWords(item, source) {
  const isField = /_(fields|options)$/.test(source);
  return { ...item, label: isField ? t(item.label) : item.label, hint: item.hint && t(item.hint) };
}

export const choices = new Choices();

/** Those that fit what was typed: beginnings first, then words within. @param {Choice[]} items @param {string} typed */
export function fitting(items, typed) {
  const sought = typed.trim().toLowerCase();
  if (!sought) return items;
  const text = (item) => `${item.label} ${item.value}`.toLowerCase();
  const starts = items.filter((item) => item.label.toLowerCase().startsWith(sought) || item.value.toLowerCase().startsWith(sought));
  const within = items.filter((item) => !starts.includes(item) && sought.split(/\s+/).every((word) => text(item).includes(word)));
  return [...starts, ...within];
}
