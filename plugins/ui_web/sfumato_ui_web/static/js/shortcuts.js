/** Keyboard shortcuts: single keys, keys with modifiers ("mod+enter"), and sequences ("g g"). */

import { h } from "./dom.js";
import { openDialog } from "./dialog.js";
import { t } from "./i18n.js";

/** @type {{keys: string[], text: string, handler: (event: KeyboardEvent) => any, scope?: Element, typing: boolean, group: string}[]} */
const known = [];
let typed = /** @type {string[]} */ ([]);
let timer = 0;

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/**
 * Let keys do something.
 * @param {string} keys Keys with blanks between: "g g", "mod+enter" (Ctrl, or Command on a Mac), "?", "escape".
 * @param {string} text What it does, for the list.
 * @param {(event: KeyboardEvent) => any} handler
 * @param {{scope?: Element, typing?: boolean, group?: string}} [options] Only while the focus is within `scope`; also while
 *   somebody types text (of itself so for keys with mod).
 * @returns {() => void} Takes it away.
 */
export function shortcut(keys, text, handler, { scope, typing, group = t("This page") } = {}) {
  const entry = { keys: keys.toLowerCase().split(" "), text, handler, scope, typing: typing ?? /mod\+/.test(keys), group };
  known.push(entry);
  return () => void known.splice(known.indexOf(entry), 1);
}

/** The list of all shortcuts. */
export function showShortcuts() {
  const groups = Map.groupBy ? Map.groupBy(known, (entry) => entry.group) : grouped();
  const content = [...groups].map(([group, entries]) =>
    h(
      "section",
      { class: "stack tight" },
      h("h3", null, group),
      h(
        "div",
        { class: "shortcut-list" },
        ...entries.flatMap((entry) => [h("span", null, ...entry.keys.map((key) => [h("kbd", null, label(key)), " "])), h("span", null, entry.text)]),
      ),
    ),
  );
  const close = h("button", { type: "button", class: "button", autofocus: true, onclick: () => dialog.close() }, t("Close"));
  const dialog = openDialog({ title: t("Keyboard shortcuts"), content, actions: [close] });
}

function grouped() {
  const groups = new Map();
  for (const entry of known) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
  return groups;
}

function label(key) {
  const names = { mod: isMac ? "⌘" : t("Ctrl"), shift: t("Shift"), alt: t("Alt"), enter: t("Enter"), escape: t("Esc"), arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", delete: t("Del"), " ": t("Space") };
  return key.split("+").map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" + ");
}

function nameOf(event) {
  const key = event.key.toLowerCase();
  const mod = isMac ? event.metaKey : event.ctrlKey;
  const shift = event.shiftKey && (key.length > 1 || /[a-z]/.test(key));
  return [mod && "mod", event.altKey && "alt", shift && "shift", key].filter(Boolean).join("+");
}

function isTyping(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "submit", "range", "color", "file"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function endsWith(list, end) {
  return end.every((item, index) => list[list.length - end.length + index] === item);
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
  typed = [...typed, nameOf(event)].slice(-3);
  clearTimeout(timer);
  timer = setTimeout(() => (typed = []), 900);
  const typing = isTyping(event);
  const inDialog = document.querySelector("dialog[open]");
  const fits = known
    .filter((entry) => endsWith(typed, entry.keys) && (!typing || entry.typing))
    .filter((entry) => !entry.scope || entry.scope.contains(document.activeElement))
    .filter((entry) => !inDialog || (entry.scope && inDialog.contains(entry.scope)))
    .sort((a, b) => b.keys.length - a.keys.length || Number(Boolean(b.scope)) - Number(Boolean(a.scope)));
  if (!fits.length) return;
  event.preventDefault();
  typed = [];
  fits[0].handler(event);
});
