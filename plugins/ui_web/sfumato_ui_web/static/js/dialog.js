/** Dialogs: the browser's own element, which keeps the focus and closes on Escape. */

import { h } from "./dom.js";
import { t } from "./i18n.js";

let count = 0;

/**
 * Open a dialog.
 * @param {{title: string, content: (Node | string)[] | Node | string, actions?: HTMLElement[], wide?: boolean}} options
 * @returns {HTMLDialogElement} Removed from the page when it is closed.
 */
export function openDialog({ title, content, actions = [], wide = false }) {
  const id = `dialog-title-${++count}`;
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: `dialog${wide ? " wide" : ""}`, "aria-labelledby": id },
      h("div", { class: "stack" }, h("h2", { id }, title), content),
      actions.length > 0 && h("div", { class: "actions" }, ...actions),
    )
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && isOutside(dialog, event) && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function isOutside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/**
 * Ask before something is done.
 * @param {{title: string, text?: string, content?: Node, confirm?: string, cancel?: string, danger?: boolean}} options
 * @returns {Promise<boolean>}
 */
export function confirmDialog({ title, text = "", content, confirm = t("OK"), cancel = t("Cancel"), danger = false }) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = h(
      "button",
      {
        type: "button",
        class: `button ${danger ? "danger" : "primary"}`,
        autofocus: true,
        onclick: () => ((answer = true), dialog.close()),
      },
      confirm,
    );
    const no = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, cancel);
    const inside = [text && h("p", null, text), content].filter(Boolean);
    const dialog = openDialog({ title, content: inside, actions: [no, yes] });
    dialog.addEventListener("close", () => resolve(answer));
  });
}
