/** Hints stand beside their button, opened by click, key or a resting pointer. */

const REST_MS = 500;

/** @param {HTMLElement} root */
export function attachHints(root) {
  let resting = 0;
  root.addEventListener("toggle", (event) => place(/** @type {HTMLElement} */ (event.target)), true);
  root.addEventListener("pointerover", (event) => {
    const button = buttonOf(event.target);
    clearTimeout(resting);
    if (button && event.pointerType === "mouse") resting = setTimeout(() => hintOf(button)?.showPopover(), REST_MS);
  });
  root.addEventListener("pointerout", (event) => {
    const button = buttonOf(event.target);
    if (button && event.pointerType === "mouse") hintOf(button)?.hidePopover();
  });
}

const buttonOf = (target) => /** @type {Element} */ (target).closest?.(".hint-button");
const hintOf = (button) => document.getElementById(button.getAttribute("popovertarget"));

/** Below its button, within the window. @param {HTMLElement} hint */
function place(hint) {
  if (!hint.classList?.contains("hint-text") || !hint.matches(":popover-open")) return;
  const button = document.querySelector(`[popovertarget="${hint.id}"]`);
  const at = button.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left - 12, innerWidth - hint.offsetWidth - 8));
  const below = at.bottom + 6 + hint.offsetHeight < innerHeight;
  hint.style.left = `${left}px`;
  hint.style.top = `${below ? at.bottom + 6 : at.top - hint.offsetHeight - 6}px`;
}
