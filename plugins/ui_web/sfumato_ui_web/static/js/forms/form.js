/** A form and the request it stands for. Only what differs from its default is in the request. */

import { controls } from "./controls.js";
import { problemOf } from "./validation.js";

export { attachHints } from "./hints.js";

/** @typedef {Record<string, any>} Request */

/** Of this form alone: one that stands within it, marked by data-form, is another. */
const own = (root, selector) => [...root.querySelectorAll(selector)].filter((found) => found.closest("[data-form]") === root.closest("[data-form]"));
const fieldsOf = (root) => /** @type {HTMLElement[]} */ (own(root, "[data-path]"));
const sectionsOf = (root) => own(root, "[data-section]");
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const defaultOf = (field) => JSON.parse(field.dataset.default);

/** Whether a field belongs to the request: every section around it is switched on. @param {Element} field */
function counts(field) {
  for (let around = field.closest("[data-section]"); around; around = around.parentElement.closest("[data-section]")) {
    if (!around.on) return false;
  }
  return true;
}

/** The value of one field. @param {HTMLElement} field */
export function valueOf(field) { return controls[field.dataset.kind].read(field); }

/** The field at a path. @param {HTMLElement} root @param {string} path @returns {HTMLElement|null} */
export function fieldAt(root, path) { return fieldsOf(root).find((field) => field.dataset.path === path) ?? null; }

/** The section at a path. @param {HTMLElement} root @param {string} path */
export function sectionAt(root, path) { return sectionsOf(root).find((section) => section.dataset.section === path) ?? null; }

/** Set one field as the user would. @param {HTMLElement} root @param {string} path @param {unknown} value */
export function setValue(root, path, value) {
  const field = fieldAt(root, path);
  if (!field) return false;
  controls[field.dataset.kind].write(field, value);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

/** The request that the form asks for. @param {HTMLElement} root @returns {Request} */
export function readForm(root) {
  const request = {};
  for (const section of sectionsOf(root)) {
    if (section.hasAttribute("data-optional") && section.on && counts(section)) put(request, section.dataset.section, {});
  }
  for (const field of fieldsOf(root)) {
    const value = counts(field) ? valueOf(field) : defaultOf(field);
    if (!same(value, defaultOf(field)) && value !== undefined) put(request, field.dataset.path, value);
  }
  return request;
}

/** Show a request: what it leaves out goes back to its default. @param {HTMLElement} root @param {Request} request */
export function writeForm(root, request) {
  for (const section of sectionsOf(root)) {
    if (section.hasAttribute("data-optional")) section.on = valueAt(request, section.dataset.section) != null;
  }
  for (const field of fieldsOf(root)) {
    const given = valueAt(request, field.dataset.path);
    controls[field.dataset.kind].write(field, given === undefined ? defaultOf(field) : given);
  }
  markChanged(root);
}

/** What is not as it was is shown in a simple form too. @param {HTMLElement} root */
export function markChanged(root) {
  for (const field of fieldsOf(root)) {
    field.classList.toggle("changed", counts(field) && !same(valueOf(field), defaultOf(field)));
  }
}

/** Tell at each field what cannot be; the first such field, or null. @param {HTMLElement} root @returns {HTMLElement|null} */
export function checkForm(root) {
  let first = null;
  for (const field of fieldsOf(root)) {
    const problem = counts(field) ? problemOf(field, valueOf(field)) : "";
    showProblem(field, problem);
    if (problem) first ??= field;
  }
  return first;
}

/** @param {HTMLElement} field @param {string} problem Empty: there is none. */
export function showProblem(field, problem) {
  const line = field.querySelector(":scope > .field-problem");
  const control = field.querySelector("input:not([type=file]), select, textarea, button:not(.hint-button)");
  line.textContent = problem;
  line.hidden = !problem;
  if (problem) control?.setAttribute("aria-invalid", "true");
  else control?.removeAttribute("aria-invalid");
}

/** Keep the form's marks and problems as the user changes it. @param {HTMLElement} root @param {(root: HTMLElement) => void} [onChange] */
export function attachForm(root, onChange) {
  const changed = (event) => {
    const field = event.target.closest?.("[data-path]");
    if (field) showProblem(field, counts(field) ? problemOf(field, valueOf(field)) : "");
    markChanged(root);
    onChange?.(root);
  };
  root.addEventListener("input", changed);
  root.addEventListener("change", changed);
}

/** @param {Request} request @param {string} path @param {unknown} value */
function put(request, path, value) {
  const names = path.split(".");
  const last = names.pop();
  let target = request;
  for (const name of names) target = target[name] ??= {};
  target[last] = value;
}

/** @param {Request} request @param {string} path */
export function valueAt(request, path) {
  return path.split(".").reduce((value, name) => value?.[name], request);
}
