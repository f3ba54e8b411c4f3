/** The gallery page: search, grid, viewer and selection put together. */

import { api } from "/static/js/api.js";
import { debounced, fill, h, icon, one } from "/static/js/dom.js";
import { onEvent, onReconnect } from "/static/js/events.js";
import { t, tn } from "/static/js/i18n.js";
import { shortcut } from "/static/js/shortcuts.js";
import { recall, remember } from "/static/js/state.js";
import { showError, toast } from "/static/js/toast.js";
import * as actions from "./actions.js";
import { queryOf, readAddress, writeAddress } from "./address.js";
import "./grid.js";
import { chipButton, chipsOf } from "./search.js";
import { selectionBar } from "./selection_bar.js";
import { PictureSource } from "./source.js";
import { Viewer } from "./viewer.js";

const MANY_CHIPS = 12;
const PHONE_TILE = 110;

const source = new PictureSource();
const grid = one("#gallery-grid");
const search = one("sf-picture-search");
const viewer = new Viewer(source);
const parts = {
  count: one("#gallery-count"), chips: one("#gallery-chips"), nothing: one("#gallery-nothing"), fresh: one("#gallery-new"),
  sort: one("#gallery-sort"), favourites: one("#gallery-favourites"), trash: one("#gallery-trash"),
  layout: one("#gallery-layout"), size: one("#gallery-size"), empty: one("#gallery-empty-trash"),
  index: one("#gallery-index"), selection: one("#gallery-selection"),
};
/** @type {import("./search.js").Chip[]} */
let chips = [];

/** Show what the address says. @param {{keepPlace?: boolean}} [options] */
async function load({ keepPlace = false } = {}) {
  const view = readAddress();
  search.value = view.q;
  parts.sort.value = view.sort;
  parts.favourites.setAttribute("aria-pressed", String(Boolean(view.favourite)));
  parts.trash.setAttribute("aria-pressed", String(Boolean(view.trash)));
  parts.empty.hidden = !view.trash;
  parts.index.hidden = Boolean(view.trash);
  drawChips();
  try {
    await source.open(queryOf(view));
    search.problem = "";
  } catch (error) {
    if (/** @type {any} */ (error).status === 422) search.problem = /** @type {any} */ (error).problem.hint ?? String(error);
    else showError(error);
    return;
  }
  parts.fresh.hidden = true;
  if (keepPlace && Number(view.at)) grid.scrollToIndex(Number(view.at), "start");
  if (view.picture && !viewer.isOpen) await openById(view.picture);
}

async function openById(/** @type {string} */ id) {
  const at = source.indexOf(id);
  if (at >= 0) return viewer.open(at);
  const from = Math.max(0, Number(readAddress().at) - 200);
  await source.all(from, Math.min(source.total, from + 600));
  const found = source.indexOf(id);
  return found >= 0 ? viewer.open(found) : writeAddress({ picture: "" });
}

/** Begin another search. */
function begin(/** @type {Partial<import("./address.js").View>} */ change) {
  writeAddress({ ...change, at: "", picture: "" }, { push: true });
  grid.selection.clear();
  scrollTo({ top: 0, behavior: "instant" });
  return load();
}

function drawCount() {
  const { q, favourite, trash } = readAddress();
  const narrowed = q || favourite || trash;
  parts.count.textContent = source.total
    ? tn("One picture", "{n} pictures", source.total) : narrowed ? t("Nothing found") : t("No pictures yet");
  parts.nothing.hidden = source.total > 0;
  parts.empty.disabled = source.total === 0;
  if (!source.total) drawNothing(trash, narrowed);
}

function drawNothing(/** @type {string} */ trash, /** @type {string} */ narrowed) {
  const sign = icon("M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01");
  if (trash) {
    fill(parts.nothing, sign, h("p", null, t("The trash is empty. What you delete stays here for a while, and can be taken back.")));
  } else if (narrowed) {
    const clear = h("button", { type: "button", class: "button", onclick: () => begin({ q: "", favourite: "" }) }, t("Show all pictures"));
    fill(parts.nothing, sign, h("p", null, t("No picture has all of that. Fewer words find more; a word finds those that begin with it.")), clear);
  } else {
    const make = h("a", { class: "button primary", href: "/generate/" }, t("Make the first one"));
    fill(parts.nothing, sign, h("p", null,
      t("Every picture you make appears here by itself. Folders of other programs can be added in the settings, under Gallery.")), make);
  }
}

function drawChips() {
  fill(parts.chips, chips.slice(0, MANY_CHIPS).map((chip) => chipButton(chip, search.has(chip.term), () => search.toggle(chip.term))));
}

async function loadChips() {
  try {
    chips = chipsOf(await api.get("/api/v1/pictures/suggestions"));
    drawChips();
  } catch {
    // The search works without them.
  }
}

/** New pictures come on top by themselves while one looks at the top; else they wait behind a button. */
const lookForNew = debounced(async () => {
  if (document.hidden || viewer.isOpen) return void (stale = true);
  stale = false;
  const newer = await source.newer().catch(() => 0);
  const { sort } = readAddress();
  if (!newer || sort !== "newest") return;
  if (scrollY < 40 && !grid.selection.size) await source.open(source.query).catch(showError);
  else {
    parts.fresh.hidden = false;
    parts.fresh.textContent = tn("One new picture", "{n} new pictures", newer);
  }
}, 400);
let stale = false;

async function look() {
  try {
    await api.post("/api/v1/jobs", { kind: "index_pictures", request: {}, label: t("Pictures into the gallery") });
    toast(t("Looking through the folders. What is new appears here."));
  } catch (error) {
    showError(error);
  }
}

function applyView() {
  const whole = Boolean(recall("gallery.whole", false));
  const size = Number(recall("gallery.size", innerWidth < 760 ? PHONE_TILE : 200));
  parts.layout.setAttribute("aria-pressed", String(whole));
  parts.size.value = String(size);
  grid.show({ whole, size });
}

function wire() {
  grid.source = source;
  source.addEventListener("change", drawCount);
  search.addEventListener("search", (/** @type {CustomEvent} */ event) => begin({ q: event.detail.q }));
  parts.sort.addEventListener("change", () => begin({ sort: parts.sort.value }));
  parts.favourites.addEventListener("click", () => begin({ favourite: readAddress().favourite ? "" : "true" }));
  parts.trash.addEventListener("click", () => begin({ trash: readAddress().trash ? "" : "true" }));
  parts.empty.addEventListener("click", async () => (await actions.emptyTrash()) && load());
  parts.index.addEventListener("click", look);
  parts.fresh.addEventListener("click", () => (scrollTo({ top: 0, behavior: "instant" }), load()));
  parts.layout.addEventListener("click", () => (remember("gallery.whole", !recall("gallery.whole", false)), applyView()));
  parts.size.addEventListener("input", () => (remember("gallery.size", Number(parts.size.value)), applyView()));
  grid.addEventListener("open", (/** @type {CustomEvent} */ event) => openPicture(event.detail.index));
  selectionBar(parts.selection, grid.selection, source, () => Boolean(readAddress().trash));
  document.addEventListener("scroll", debounced(() => writeAddress({ at: String(grid.firstVisible || "") }), 200), { passive: true });
  addEventListener("popstate", onBack);
  onEvent("image_saved", lookForNew);
  onEvent("job_changed", (event) => event.data?.state === "done" && lookForNew());
  onReconnect(lookForNew);
  document.addEventListener("visibilitychange", () => stale && lookForNew());
  wireViewer();
  wireKeys();
}

function openPicture(/** @type {number} */ index) {
  const picture = source.at(index);
  if (!picture) return;
  writeAddress({ picture: picture.id }, { push: true });
  void viewer.open(index);
}

function wireViewer() {
  viewer.addEventListener("move", (/** @type {CustomEvent} */ event) => {
    writeAddress({ picture: event.detail.picture.id });
    grid.moveTo(event.detail.index);
  });
  viewer.addEventListener("close", () => {
    if (readAddress().picture) {
      if (history.state?.pushed) history.back();
      else writeAddress({ picture: "" });
    }
    grid.focus();
    if (stale) lookForNew();
  });
  viewer.addEventListener("search", (/** @type {CustomEvent} */ event) => begin({ q: event.detail.term, favourite: "", trash: "" }));
}

function onBack() {
  const view = readAddress();
  if (!view.picture && viewer.isOpen) viewer.close();
  const query = queryOf(view);
  const same = JSON.stringify(query) === JSON.stringify(source.query);
  if (!same) void load({ keepPlace: true });
  else if (view.picture && !viewer.isOpen) void openById(view.picture);
}

function wireKeys() {
  const chosen = () => {
    const current = source.at(grid.current);
    return grid.selection.size ? grid.selection.pictures : current ? [current] : [];
  };
  shortcut("/", t("Search"), () => search.focus());
  shortcut("f", t("Favourite"), () => chosen().length && actions.toggleFavourite(source, chosen()), { scope: grid });
  shortcut("delete", t("Move to the trash"), async () => {
    const pictures = chosen();
    if (!pictures.length) return;
    await (readAddress().trash ? actions.takeBack : actions.throwAway)(source, pictures);
    grid.selection.remove(pictures.map(({ id }) => id));
  }, { scope: grid });
  shortcut("d", t("Download"), () => chosen().length && actions.download(chosen()), { scope: grid });
  shortcut("mod+a", t("Select all"), async () => grid.selection.add(await source.all(0, source.total)), { scope: grid, typing: false });
  shortcut("escape", t("Clear the selection"), () => grid.selection.clear());
}

history.scrollRestoration = "manual";
wire();
applyView();
void load({ keepPlace: true });
void loadChips();
