/** A small picture; where the gallery has none of it, or not yet, the picture itself. */

import { h } from "../dom.js";

/**
 * @param {any} image @param {boolean} gallery Whether there is one.
 * @param {(image: any) => void} missed Called when it cannot be shown at all.
 * @param {Record<string, any>} attributes
 */
export function thumbnail(image, gallery, missed, attributes) {
  const small = `/api/v1/pictures/${image.id}/thumbnail?size=256`;
  const shown = h("img", { src: gallery ? small : image.url, loading: "lazy", dataset: { own: "" }, ...attributes });
  shown.addEventListener("error", () => {
    if (shown.getAttribute("src") === image.url) missed(image);
    else shown.src = image.url;
  });
  return shown;
}
