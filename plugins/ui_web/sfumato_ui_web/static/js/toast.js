/** Short messages that go away by themselves; screen readers hear them. */

import { h } from "./dom.js";
import { t } from "./i18n.js";

const SECONDS = { plain: 6, danger: 12 };

/**
 * @param {string} text
 * @param {{kind?: "" | "ok" | "warn" | "danger", action?: string, onAction?: () => void, seconds?: number}} [options]
 * @returns {() => void} Takes it away.
 */
export function toast(text, { kind = "", action, onAction, seconds } = {}) {
  const place = document.getElementById("toasts");
  const close = () => element.remove();
  const element = h(
    "div",
    { class: `toast ${kind}`, role: kind === "danger" ? "alert" : "status" },
    h("span", { class: "toast-text" }, text),
    action &&
      h("button", { type: "button", class: "button small", onclick: () => (close(), onAction?.()) }, action),
    h("button", { type: "button", class: "button quiet small", "aria-label": t("Close message"), onclick: close }, "×"),
  );
  place?.append(element);
  const patience = 1000 * (seconds ?? (action || kind === "danger" ? SECONDS.danger : SECONDS.plain));
  let timer = setTimeout(close, patience);
  const wait = () => clearTimeout(timer);
  const goOn = () => ((timer = setTimeout(close, patience)), undefined);
  element.addEventListener("pointerenter", wait);
  element.addEventListener("pointerleave", goOn);
  element.addEventListener("focusin", wait);
  element.addEventListener("focusout", goOn);
  return close;
}

/** Tell of an error: what happened, why, and what to do. */
export function showError(error) {
  if (error?.name === "AbortError") return;
  toast(error?.message || String(error), { kind: "danger" });
}
