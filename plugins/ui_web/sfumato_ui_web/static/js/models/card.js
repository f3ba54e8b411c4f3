/** One model, LoRA or other file as a card. */

import { copyText } from "../clipboard.js";
import { h, icon } from "../dom.js";
import { fileSize, t } from "../i18n.js";
import { toast } from "../toast.js";

const EMPTY_SIGNS = {
  checkpoints: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5",
  loras: "M12 4l8 4-8 4-8-4zM4 12l8 4 8-4M4 16l8 4 8-4",
  embeddings: "M5 6h14M12 6v12M8 18h8",
  vae: "M4 5h16v14H4zM4 15l5-5 4 4 3-3 4 4",
  upscalers: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
};

/**
 * @param {any} item As the server tells it. @param {string} tab
 * @param {{preview: string, onUse: (item: any) => void, onDetails: (item: any) => void}} on
 */
export function modelCard(item, tab, on) {
  const badges = item.badges.map((text, index) => h("span", { class: index === 0 ? "badge model-family" : "badge" }, text));
  if (item.precision) badges.push(h("span", { class: "badge" }, item.precision));
  return h(
    "article",
    { class: `model-card${item.problem ? " damaged" : ""}${item.matches === false ? " misfit" : ""}`, "aria-label": item.title },
    frame(item, tab, on.preview),
    h(
      "div",
      { class: "model-body" },
      h("h2", { class: "model-title", title: item.name }, item.title),
      item.title !== item.name && h("p", { class: "muted small-text mono truncate" }, item.name),
      h("div", { class: "cluster model-badges" }, badges, match(item)),
      item.problem && h("p", { class: "model-problem small-text" }, item.problem, item.hint && h("span", { class: "muted" }, ` ${item.hint}`)),
      item.warning && h("p", { class: "model-warning small-text" }, item.warning),
      item.missing.length > 0 && missing(item.missing),
      item.note && h("p", { class: "muted small-text" }, item.note),
      item.words.length > 0 && words(item.words),
    ),
    h(
      "footer",
      { class: "model-foot" },
      h("span", { class: "muted small-text" }, item.size ? fileSize(item.size) : ""),
      h("button", { type: "button", class: "button quiet small", onclick: () => on.onDetails(item), "aria-label": t("Details of {name}", { name: item.title }) }, t("Details")),
      Object.keys(item.use).length > 0 && h("button", { type: "button", class: "button small", onclick: () => on.onUse(item), "aria-label": t("Use {name}", { name: item.title }) }, t("Use")),
    ),
  );
}

function frame(item, tab, address) {
  const box = h("div", { class: "model-frame" });
  const sign = icon(EMPTY_SIGNS[tab] ?? EMPTY_SIGNS.checkpoints);
  if (!item.preview) {
    box.append(sign);
    return box;
  }
  const picture = h("img", { alt: "", loading: "lazy", decoding: "async", src: address });
  picture.addEventListener("error", () => picture.replaceWith(sign));
  box.append(picture);
  return box;
}

function match(item) {
  if (item.matches === true) return h("span", { class: "badge ok" }, t("fits"));
  return item.matches === false && h("span", { class: "badge warn" }, t("does not fit"));
}

function missing(parts) {
  return h("p", { class: "model-missing muted small-text" }, t("Looked for beside it: {parts}.", { parts: parts.join(", ") }));
}

function words(found) {
  const copy = async () => {
    await copyText(found.join(", "));
    toast(t("Copied: {text}", { text: found.join(", ") }), { kind: "ok", seconds: 3 });
  };
  return h("button", { type: "button", class: "chip model-words", onclick: copy, title: t("Copy the trigger words"), "aria-label": t("Copy the trigger words {words}", { words: found.join(", ") }) }, h("span", { class: "truncate" }, found.join(", ")), icon("M9 9h10v10H9zM5 15V5h10"));
}
