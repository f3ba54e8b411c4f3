/** Settings read back from what a picture remembers, or from an infotext. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { openDialog } from "../dialog.js";
import { t } from "../i18n.js";
import { upload } from "../forms/picture.js";
import { showError, toast } from "../toast.js";

/** Whether a text looks like A1111's parameters. @param {string} text */
export const isInfotext = (text) => /(^|\n)Steps: \d+, /.test(text);

/** @param {string} path "upload:…", "picture:…" @returns {Promise<any|null>} */
export async function requestOfPicture(path) {
  const memory = await api.post("/api/v1/queries/read_picture", { path });
  if (!Object.keys(memory.request).length) {
    toast([t("This picture remembers no settings."), memory.problem].filter(Boolean).join(" "), { kind: "warn" });
    return null;
  }
  tellLeft(memory.left);
  return memory.request;
}

/** @param {string} text */
export async function requestOfInfotext(text) {
  const answer = await api.post("/api/v1/queries/import_infotext", { text });
  tellLeft(answer.left);
  return answer.request;
}

function tellLeft(left) {
  if (left?.length) toast(t("Could not be taken over: {what}", { what: left.join("; ") }), { kind: "warn", seconds: 15 });
}

/** Ask for an infotext or a picture. @param {(request: any) => void} take */
export function askForSettings(take) {
  const text = h("textarea", { id: "infotext", rows: 8, class: "mono", spellcheck: "false", autofocus: true });
  const file = h("input", { type: "file", id: "infotext-picture", accept: "image/*" });
  const go = h("button", { type: "button", class: "button primary", onclick: () => read().catch(showError) }, t("Fill the form"));
  const close = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, t("Cancel"));
  const dialog = openDialog({
    title: t("Read settings"), wide: true, actions: [close, go],
    content: [h("div", { class: "field" }, h("label", { for: "infotext" }, t("Infotext, as A1111 writes it")), text),
      h("div", { class: "field" }, h("label", { for: "infotext-picture" }, t("or a picture that remembers how it was made")), file)],
  });
  file.addEventListener("change", () => read().catch(showError));

  async function read() {
    const request = file.files[0] ? await requestOfPicture((await upload(file.files[0])).path) : await requestOfInfotext(text.value);
    if (!request) return;
    dialog.close();
    take(request);
  }
}
