/** The bar of what can be done with the selected pictures. */

import { fill, h, icon } from "/static/js/dom.js";
import { t, tn } from "/static/js/i18n.js";
import * as actions from "./actions.js";

/** @import {PictureSource} from "./source.js" */
/** @import {Selection} from "./selection.js" */

const SIGNS = {
  heart: "M12 20 4.6 12.6a4.6 4.6 0 0 1 6.5-6.5l.9.9.9-.9a4.6 4.6 0 0 1 6.5 6.5z", trash: "M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14", compare: "M12 4v16M4 6h5v12H4zM15 6h5v12h-5z", close: "M6 6l12 12M18 6L6 18",
  restore: "M4 12a8 8 0 1 0 3-6.2M4 4v5h5",
};

/**
 * @param {HTMLElement} bar
 * @param {Selection} selection
 * @param {PictureSource} source
 * @param {() => boolean} inTrash
 */
export function selectionBar(bar, selection, source, inTrash) {
  const remove = async (/** @type {typeof actions.throwAway} */ act) => {
    const { pictures, ids } = selection;
    await act(source, pictures);
    selection.remove(ids);
  };
  const draw = () => {
    bar.hidden = selection.size === 0;
    document.body.classList.toggle("has-selection", selection.size > 0);
    if (bar.hidden) return;
    const pictures = selection.pictures;
    const kept = [
      button(SIGNS.heart, t("Favourite"), () => actions.toggleFavourite(source, pictures)),
      pictures.length === 2 && button(SIGNS.compare, t("Compare"), () => actions.compare(pictures[0], pictures[1])),
      button(SIGNS.download, pictures.length > 1 ? t("Download ZIP") : t("Download"), () => actions.download(pictures)),
      button(SIGNS.trash, t("Trash"), () => remove(actions.throwAway)),
    ];
    const trashed = [button(SIGNS.restore, t("Take back"), () => remove(actions.takeBack))];
    fill(bar, h("strong", { class: "selection-count", role: "status" }, tn("One selected", "{n} selected", pictures.length)),
      inTrash() ? trashed : kept, button(SIGNS.close, t("Clear the selection"), () => selection.clear(), true));
  };
  selection.addEventListener("change", draw);
  draw();
}

function button(/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => any} */ onclick, bare = false) {
  return h("button", { type: "button", class: bare ? "icon-button" : "button quiet", onclick, "aria-label": label, title: label },
    icon(sign), !bare && h("span", null, label));
}
