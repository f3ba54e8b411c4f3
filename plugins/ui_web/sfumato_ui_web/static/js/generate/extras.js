/** Small helpers beside single fields: a new seed, the last seed, width and height swapped. */

import { h, icon } from "../dom.js";
import { fieldAt, setValue, valueOf } from "../forms/form.js";
import { t } from "../i18n.js";

const DICE = "M5 5h14v14H5zM9 9h.01M15 15h.01M15 9h.01M9 15h.01";
const LAST = "M4 12a8 8 0 1 1 2.5 5.8M4 19v-4h4";
const SWAP = "M7 4v14M4 15l3 3 3-3M17 20V6M14 9l3-3 3 3";

/** @param {HTMLElement} root @param {() => number|undefined} lastSeed @param {() => any} recommended */
export function attachExtras(root, lastSeed, recommended) {
  const random = button(DICE, t("A new seed each time"), () => setValue(root, "seed", -1));
  const last = button(LAST, t("The seed of the picture that is shown"), () => lastSeed() !== undefined && setValue(root, "seed", lastSeed()));
  fieldAt(root, "seed")?.querySelector("sf-number")?.append(random, last);
  const swap = button(SWAP, t("Swap width and height"), () => {
    const side = (name) => valueOf(fieldAt(root, name)) ?? recommended()[name] ?? null;
    const [width, height] = [side("width"), side("height")];
    setValue(root, "width", height);
    setValue(root, "height", width);
  });
  fieldAt(root, "height")?.querySelector(".field-head")?.append(swap);
}

function button(path, label, act) {
  return h("button", { type: "button", class: "icon-button small", title: label, "aria-label": label, onclick: act }, icon(path));
}
