/** What a picture tells, in readable parts. */

import { copyText } from "/static/js/clipboard.js";
import { h, icon } from "/static/js/dom.js";
import { fileSize, moment, t } from "/static/js/i18n.js";
import { toast } from "/static/js/toast.js";
import { termOf } from "./search.js";

/** @import {Picture} from "./source.js" */

const COPY = "M9 9h11v11H9zM5 15H4V4h11v1";
const SHOWN_APART = new Set(["Seed", "Steps", "Sampler", "CFG scale", "Model", "Size", "Schedule type", "Lora hashes"]);

/**
 * @param {Picture & {infotext?: string, fields?: Record<string, string>, source?: string, steps?: number, cfg?: number,
 *   size?: number}} picture
 * @param {(term: string) => void} search  begins another search
 */
export function detailsOf(picture, search) {
  const fields = picture.fields ?? {};
  const others = Object.entries(fields).filter(([key]) => !SHOWN_APART.has(key));
  return [
    text(t("Prompt"), picture.prompt),
    text(t("Negative prompt"), picture.negative_prompt),
    h("dl", { class: "facts" }, ...[
      fact(t("Model"), picture.model && link(picture.model, () => search(termOf("model", picture.model)))),
      fact(t("LoRAs"), picture.loras.length && picture.loras.map((name) => link(name, () => search(termOf("lora", name))))),
      fact(t("Seed"), picture.seed !== null && copied(String(picture.seed), t("Seed"))),
      fact(t("Steps"), picture.steps),
      fact(t("Sampler"), [picture.sampler, fields["Schedule type"]].filter(Boolean).join(" · ")),
      fact(t("CFG scale"), picture.cfg),
      fact(t("Size"), `${picture.width} × ${picture.height}`),
      fact(t("Created"), moment(picture.created)),
      fact(t("File"), h("span", { class: "file-name", title: picture.folder }, picture.name)),
      fact(t("File size"), picture.size && fileSize(picture.size)),
      fact(t("Score"), picture.score),
    ]),
    others.length > 0 && h("details", { class: "more-facts" }, h("summary", null, t("All settings")),
      h("dl", { class: "facts" }, ...others.map(([key, value]) => fact(key, value)))),
    picture.infotext && h("details", { class: "more-facts" }, h("summary", null, t("Text as it is in the file")),
      h("pre", { class: "infotext", tabindex: "0" }, picture.infotext), copyButton(picture.infotext, t("Copy the text"), true)),
    !picture.prompt && !picture.infotext && h("p", { class: "muted" }, t("This file does not tell how it was made.")),
  ].filter(Boolean);
}

function text(/** @type {string} */ title, /** @type {string} */ value) {
  if (!value) return false;
  return h("section", { class: "told" }, h("div", { class: "told-title" }, h("h3", null, title), copyButton(value, t("Copy: {what}", { what: title }))),
    h("p", { class: "told-text" }, value));
}

function fact(/** @type {string} */ title, /** @type {any} */ value) {
  if (value === null || value === undefined || value === "" || value === false || value === 0) return false;
  return h("div", { class: "fact" }, h("dt", null, title), h("dd", null, value));
}

function link(/** @type {string} */ label, /** @type {() => void} */ onclick) {
  return h("button", { type: "button", class: "fact-link", onclick, title: t("Search for it") }, label);
}

function copied(/** @type {string} */ value, /** @type {string} */ title) {
  return h("span", { class: "copied" }, value, copyButton(value, t("Copy: {what}", { what: title })));
}

function copyButton(/** @type {string} */ value, /** @type {string} */ label, labelled = false) {
  const onclick = async () => {
    try {
      await copyText(value);
      toast(t("Copied."), { kind: "ok", seconds: 2 });
    } catch {
      toast(t("The browser does not let this page copy."), { kind: "warn" });
    }
  };
  const attributes = { type: "button", class: labelled ? "button small" : "icon-button copy", onclick };
  return h("button", labelled ? attributes : { ...attributes, "aria-label": label, title: label }, icon(COPY), labelled && label);
}
