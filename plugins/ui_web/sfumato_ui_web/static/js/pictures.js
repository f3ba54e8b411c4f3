/** Pictures whose files are gone: a quiet sign in their place, wherever they would be shown. */

import { all } from "./dom.js";
import { onReconnect } from "./events.js";
import { t } from "./i18n.js";

const OURS = /^\/api\/v1\/(jobs\/[^/]+\/pictures|pictures|uploads)\//;
const SIGN = "/static/not_kept.svg";

/** Watch all pictures of the page, those to come as well. */
export function watchPictures() {
  document.addEventListener("error", (event) => event.target instanceof HTMLImageElement && failed(event.target), true);
  document.addEventListener("load", (event) => event.target instanceof HTMLImageElement && unmark(event.target), true);
  for (const image of all("img")) if (image.complete && image.src && !image.naturalWidth) mark(image);
  onReconnect(() => all("img[data-lost]").forEach((image) => (image.src = image.dataset.lost)));
}

/** Whoever made the picture may know another address: it goes first. @param {HTMLImageElement} image */
function failed(image) {
  const { src } = image;
  setTimeout(() => image.src === src && mark(image));
}

/**
 * One that handles its own loss (such as the canvas) has `data-own`; a thumbnail names in `data-file` the
 * picture itself, which may be there although the gallery does not know it.
 * @param {HTMLImageElement} image
 */
function mark(image) {
  const { file, own } = image.dataset;
  const address = new URL(image.src);
  if (own !== undefined || address.origin !== location.origin || !OURS.test(address.pathname)) return;
  if (file) {
    delete image.dataset.file;
    image.src = file;
    return;
  }
  image.dataset.lost = address.href;
  image.title = t("This picture was not kept.");
  image.src = SIGN;
}

/** A picture that is there again, or another one in its element. @param {HTMLImageElement} image */
function unmark(image) {
  if (!("lost" in image.dataset) || image.src.endsWith(SIGN)) return;
  delete image.dataset.lost;
  image.removeAttribute("title");
}
