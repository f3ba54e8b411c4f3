/** Files dropped anywhere on the page: pictures to start from or to read, prompt files to queue. */

import { h } from "../dom.js";
import { openDialog } from "../dialog.js";
import { t } from "../i18n.js";
import { picturesIn } from "../forms/picture.js";
import { isPromptFile } from "./batch_file.js";

/** @param {{pictures: (file: File, how: string) => void, prompts: (file: File) => void}} takers */
export function attachDrops({ pictures, prompts }) {
  const veil = h("div", { class: "drop-veil", "aria-hidden": "true" }, h("p", null, t("Drop pictures, prompt files or settings")));
  veil.hidden = true;
  document.body.append(veil);
  const brings = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  addEventListener("dragenter", (event) => { if (brings(event)) veil.hidden = ++depth === 0; });
  addEventListener("dragleave", (event) => { if (brings(event) && --depth <= 0) veil.hidden = Boolean((depth = 0) || true); });
  addEventListener("dragover", (event) => { if (brings(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    depth = 0;
    veil.hidden = true;
    if (event.defaultPrevented || !brings(event)) return;
    event.preventDefault();
    const [picture] = picturesIn(event.dataTransfer);
    if (picture) return ask(picture, pictures);
    const file = [...event.dataTransfer.files].find(isPromptFile);
    if (file) prompts(file);
  }, { capture: false });
  document.addEventListener("drop", () => { depth = 0; veil.hidden = true; }, { capture: true });
}

function ask(file, take) {
  const choice = (how, label) => h("button", { type: "button", class: "button", onclick: () => { dialog.close(); take(file, how); } }, label);
  const address = URL.createObjectURL(file);
  const dialog = openDialog({
    title: t("What should be done with this picture?"),
    content: [h("img", { src: address, alt: file.name, class: "drop-picture" }),
      h("div", { class: "stack tight" }, choice("img2img", t("Start from it")), choice("inpaint", t("Paint over parts of it")), choice("outpaint", t("Carry it on beyond its edges")), choice("read", t("Read its settings")))],
    actions: [h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, t("Cancel"))],
  });
  dialog.addEventListener("close", () => URL.revokeObjectURL(address));
}
