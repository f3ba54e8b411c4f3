/** How each kind of field is read and filled; the kinds are those of `sfumato_ui_web.forms`. */

import "./choice.js";
import "./list.js";
import "./number.js";
import "./picture.js";
import "./section.js";

/** @typedef {{read: (field: HTMLElement) => unknown, write: (field: HTMLElement, value: any) => void}} Access */

const part = (selector) => (field) => field.querySelector(selector);

/** What is read and written as it is. @param {string} selector @returns {Access} */
function element(selector) {
  const find = part(selector);
  return { read: (field) => find(field).value, write: (field, value) => { find(field).value = value; } };
}

const input = part("sf-prompt, textarea, input, select");
const box = part("input[type=checkbox]");

/** @type {Access} */
const text = {
  read: (field) => (input(field).value === "" && field.hasAttribute("data-optional") ? null : input(field).value),
  write: (field, value) => { input(field).value = value ?? ""; },
};

/** @type {Access} */
const maybe = {
  read: (field) => ({ true: true, false: false })[input(field).value] ?? null,
  write: (field, value) => { input(field).value = value === null || value === undefined ? "" : String(value); },
};

/** Lines of a text, words that are ticked, or chips. @type {Access} */
const list = {
  read(field) {
    const chips = field.querySelector("sf-list");
    if (chips) return chips.value;
    const lines = field.querySelector("textarea");
    if (lines) return lines.value.split("\n").map((line) => line.trim()).filter(Boolean);
    return [...field.querySelectorAll("input:checked")].map((ticked) => ticked.value);
  },
  write(field, value) {
    const values = value ?? [];
    const chips = field.querySelector("sf-list");
    const lines = field.querySelector("textarea");
    if (chips) chips.value = values;
    else if (lines) lines.value = values.join("\n");
    else field.querySelectorAll("input").forEach((ticked) => { ticked.checked = values.includes(ticked.value); });
  },
};

/** @type {Record<string, Access>} */
export const controls = {
  integer: element("sf-number"),
  number: element("sf-number"),
  switch: { read: (field) => box(field).checked, write: (field, value) => { box(field).checked = Boolean(value); } },
  maybe,
  choice: text,
  lookup: element("sf-choice"),
  text,
  colour: text,
  picture: element("sf-picture"),
  pictures: element("sf-picture"),
  list,
  pairs: element("sf-pairs"),
};
