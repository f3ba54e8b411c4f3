/** The clipboard, also at addresses where browsers give pages none (plain http beyond this machine). */

import { h } from "./dom.js";

/** @param {string} text @returns {Promise<void>} */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not let this page copy.");
  return undefined;
}
