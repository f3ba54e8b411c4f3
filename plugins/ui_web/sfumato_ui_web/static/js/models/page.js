/** The page Models: tabs of cards, what fits the chosen model, and the way to Generate. */

import { api } from "../api.js";
import { copyText } from "../clipboard.js";
import { all, debounced, fill, h, icon, one } from "../dom.js";
import { openDialog } from "../dialog.js";
import { fileSize, moment, number, t, tn } from "../i18n.js";
import { recall, remember } from "../state.js";
import { showError, toast } from "../toast.js";
import { modelCard } from "./card.js";

const MATCHED = ["loras", "embeddings"];
const ASK_AGAIN = 400;
const AT_ONCE = 120;

class ModelsPage extends HTMLElement {
  connectedCallback() {
    this.loads = 0;
    this.items = [];
    this.tabs = all("[role=tab]", this);
    this.list = one("#models-list", this);
    this.search = one(".models-search input", this);
    this.match = one(".models-match select", this);
    this.sort = one(".models-sort select", this);
    this.status = one(".models-status", this);
    for (const tab of this.tabs) tab.addEventListener("click", () => this.open(tab.dataset.tab));
    one(".models-tabs", this).addEventListener("keydown", (event) => this.tabKey(event));
    this.search.addEventListener("input", debounced(() => this.show(), 120));
    this.sort.addEventListener("change", () => this.show());
    this.match.addEventListener("change", () => (remember("models.match", this.match.value), this.load()));
    one(".models-rescan", this).addEventListener("click", () => this.load(true));
    this.loadNames();
    const wanted = location.hash.slice(1);
    this.open(this.tabs.some((tab) => tab.dataset.tab === wanted) ? wanted : recall("models.tab", "checkpoints"));
  }

  address(name, values) {
    return Object.entries(values).reduce((text, [key, value]) => text.replace(key, value.split("/").map(encodeURIComponent).join("/")), this.dataset[name]);
  }

  open(name) {
    this.tab = this.tabs.some((tab) => tab.dataset.tab === name) ? name : "checkpoints";
    remember("models.tab", this.tab);
    history.replaceState(null, "", `#${this.tab}`);
    for (const tab of this.tabs) {
      const chosen = tab.dataset.tab === this.tab;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    this.list.setAttribute("aria-labelledby", `tab-${this.tab}`);
    one(".models-match", this).hidden = !MATCHED.includes(this.tab);
    this.load();
  }

  tabKey(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const now = this.tabs.findIndex((tab) => tab.dataset.tab === this.tab);
    const next = Math.abs(steps[event.key]) === 1 ? (now + steps[event.key] + this.tabs.length) % this.tabs.length : steps[event.key] < 0 ? 0 : this.tabs.length - 1;
    this.tabs[next].focus();
    this.open(this.tabs[next].dataset.tab);
  }

  async loadNames() {
    const names = await api.get(this.dataset.names).catch(() => []);
    for (const { name, label } of names) this.match.append(h("option", { value: name }, label && label !== name ? `${name} (${label})` : name));
    const kept = recall("models.match", "");
    if (names.some((model) => model.name === kept)) this.match.value = kept;
    if (this.match.value && MATCHED.includes(this.tab)) this.load();
  }

  async load(rescan = false) {
    const load = ++this.loads;
    this.list.setAttribute("aria-busy", "true");
    const params = { rescan: rescan ? "1" : "", model: MATCHED.includes(this.tab) ? this.match.value : "" };
    try {
      const found = await api.get(this.address("cards", { TAB: this.tab }), params);
      if (load !== this.loads) return;
      this.items = found.items;
      this.folders = found.folders;
      this.pending = found.pending;
      this.show();
      if (rescan) toast(tn("{n} file found.", "{n} files found.", found.items.length), { kind: "ok", seconds: 3 });
      if (found.pending) setTimeout(() => load === this.loads && this.load(), ASK_AGAIN);
    } catch (error) {
      if (load === this.loads) showError(error);
    } finally {
      if (load === this.loads) this.list.setAttribute("aria-busy", "false");
    }
  }

  show() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.items.filter((item) => words.every((word) => textOf(item).includes(word))).sort(order(this.sort.value));
    const on = { onUse: (item) => this.use(item), onDetails: (item) => this.details(item) };
    const cards = (items) => items.map((item) => modelCard(item, this.tab, { ...on, preview: this.previewOf(item) }));
    if (!shown.length) fill(this.list, this.empty());
    else fill(this.list, cards(shown.slice(0, AT_ONCE)));
    if (shown.length > AT_ONCE) this.showMoreWhenSeen(shown.slice(AT_ONCE), cards);
    this.status.textContent = this.statusText(shown.length);
  }

  /** Thousands of cards are not built before anybody scrolls to them. */
  showMoreWhenSeen(rest, cards) {
    const end = h("div", { class: "models-end", "aria-hidden": "true" });
    this.list.append(end);
    const watcher = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        end.before(...cards(rest.splice(0, AT_ONCE)));
        if (!rest.length) (watcher.disconnect(), end.remove());
      },
      { rootMargin: "800px" },
    );
    watcher.observe(end);
  }

  statusText(count) {
    const parts = [];
    if (this.items.length) parts.push(count === this.items.length ? tn("{n} file", "{n} files", count) : t("{shown} of {all} files", { shown: number(count), all: number(this.items.length) }));
    if (this.pending) parts.push(tn("{n} still to be read", "{n} still to be read", this.pending));
    return parts.join(" · ");
  }

  previewOf(item) {
    return `${this.address("preview", { TAB: this.tab, NAME: item.name })}?v=${item.preview}`;
  }

  empty() {
    if (this.items.length) return h("div", { class: "empty" }, t("Nothing here is called so."));
    const what = {
      checkpoints: t("No model yet. Put checkpoints (.safetensors) into one of these folders:"),
      loras: t("No LoRA yet. Put LoRA files (.safetensors) into one of these folders:"),
      embeddings: t("No learned words yet. Put embeddings (.safetensors) into one of these folders:"),
      vae: t("No VAE beside those that models bring. Put some into one of these folders:"),
      upscalers: t("No upscaler yet. Put models such as ESRGAN (.safetensors, .pth) into one of these folders:"),
    }[this.tab];
    const folders = this.folders.map((folder) => h("li", null, h("code", null, folder), h("button", { type: "button", class: "icon-button", title: t("Copy"), "aria-label": t("Copy {text}", { text: folder }), onclick: () => this.copy(folder) }, icon("M9 9h10v10H9zM5 15V5h10"))));
    return h("div", { class: "empty models-empty" }, icon("M3 7h6l2 2h10v10H3z"), h("p", null, what), h("ul", null, folders), h("p", { class: "small-text" }, t("Then press “Look again”.")));
  }

  async copy(text) {
    await copyText(text);
    toast(t("Copied: {text}", { text }), { kind: "ok", seconds: 3 });
  }

  /** Hand the model, or the words for the prompt, to the page Generate. */
  use(item) {
    const incoming = item.use.model ? { request: { model: item.use.model } } : { insert: item.use.prompt };
    remember("generate.incoming", incoming);
    location.assign("/generate/");
  }

  async details(item) {
    const hash = h("dd", { class: "mono" }, "…");
    const rows = [[t("File"), h("span", { class: "mono" }, item.path || "–")], [t("Size"), item.size ? fileSize(item.size) : "–"]];
    if (item.modified) rows.push([t("Changed"), moment(item.modified * 1000)]);
    const list = h("dl", { class: "model-facts" }, rows.concat(item.facts).map(([label, text]) => h("div", null, h("dt", null, label), h("dd", null, text))));
    if (item.path) list.append(h("div", null, h("dt", null, "SHA-256"), hash));
    const picture = item.preview && h("img", { class: "model-large", src: this.previewOf(item), alt: t("Preview of {name}", { name: item.title }) });
    const close = h("button", { type: "button", class: "button", autofocus: true, onclick: () => dialog.close() }, t("Close"));
    const use = Object.keys(item.use).length > 0 && h("button", { type: "button", class: "button primary", onclick: () => this.use(item) }, t("Use"));
    const dialog = openDialog({ title: item.title, content: [picture, item.problem && h("p", { class: "model-problem" }, item.problem, " ", item.hint), list].filter(Boolean), actions: [close, use].filter(Boolean), wide: Boolean(picture) });
    if (!item.path) return;
    const known = await api.get(this.address("hash", { TAB: this.tab, NAME: item.name })).catch(() => ({ sha256: "" }));
    hash.textContent = known.sha256 || t("not worked out yet; it is when a picture is first made with it");
  }
}

function textOf(item) {
  return [item.name, item.title, ...item.badges, ...item.words, item.path].join(" ").toLowerCase();
}

function order(by) {
  const names = (one_, other) => one_.title.localeCompare(other.title);
  const damagedLast = (one_, other) => Boolean(one_.problem) - Boolean(other.problem);
  const misfitsLast = (one_, other) => (one_.matches === false) - (other.matches === false);
  const chosen = { name: names, modified: (one_, other) => other.modified - one_.modified, size: (one_, other) => other.size - one_.size }[by];
  return (one_, other) => damagedLast(one_, other) || misfitsLast(one_, other) || chosen(one_, other) || names(one_, other);
}

customElements.define("sf-models", ModelsPage);
