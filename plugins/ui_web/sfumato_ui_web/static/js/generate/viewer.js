/** One picture as large as the window, its neighbours by arrow keys; two pictures side by side. */

import { fill, h } from "../dom.js";
import { openDialog } from "../dialog.js";
import { t } from "../i18n.js";

/** @param {any} job @param {number} index @param {(index: number) => void} onLook */
export function view(job, index, onLook) {
  let at = index;
  const image = h("img", { class: "viewer-image", alt: "" });
  const caption = h("figcaption", { class: "viewer-caption" });
  const step = (by) => show((at + by + job.images.length) % job.images.length);
  const arrow = (by, sign, label) => h("button", { type: "button", class: `viewer-arrow ${by < 0 ? "before" : "after"}`, "aria-label": label, onclick: () => step(by) }, sign);
  const close = h("button", { type: "button", class: "viewer-close", "aria-label": t("Close"), autofocus: true, onclick: () => dialog.close() }, "×");
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { class: "viewer", "aria-label": t("Picture") },
    h("figure", null, image, caption), job.images.length > 1 && [arrow(-1, "‹", t("Picture before")), arrow(1, "›", t("Next picture"))], close));

  function show(next) {
    at = next;
    const { url, infotext, seed, width, height } = job.images[at];
    image.src = url;
    image.alt = t("Picture {n} of {all}", { n: at + 1, all: job.images.length });
    image.classList.toggle("tiny", Math.max(width, height) <= 256);
    fill(caption, `${at + 1}/${job.images.length} · ${width} × ${height} · ${t("seed {seed}", { seed })}`, h("span", { class: "viewer-infotext" }, infotext));
    onLook(at);
  }

  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) step(by);
    if (event.key === "Home") show(0);
    if (event.key === "End") show(job.images.length - 1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.tagName === "FIGURE") dialog.close(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  show(at);
  dialog.showModal();
}

/** @param {any} first @param {any} second Pictures of jobs. */
export async function compare(first, second) {
  await import("../compare/compare.js");
  const both = document.createElement("sf-compare");
  const label = (image) => t("seed {seed}", { seed: image.seed });
  openDialog({ title: t("Compare"), content: both, wide: true });
  both.show({ src: first.url, label: label(first) }, { src: second.url, label: label(second) });
}
