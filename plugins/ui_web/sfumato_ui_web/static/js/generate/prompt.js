/** A prompt editor: the textarea writes, a layer behind it shows the same text in colours. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { Completion } from "./completion.js";
import { pieces, shifted } from "./syntax.js";
import { reweighted } from "./weights.js";

const REST_MS = 180; // after the last key, before the server is asked

export class PromptEditor extends HTMLElement {
  #tokens = [];
  #shown = "";
  #timer = 0;
  #asked = 0;
  #coloured = true; // until the server says that it knows no syntax

  /** Fields that the token count depends on. @type {() => {model: string|null, steps: number|null}} */
  context = () => ({ model: null, steps: null });

  connectedCallback() {
    this.text = /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea"));
    this.layer = /** @type {HTMLElement} */ (this.querySelector(".prompt-layer"));
    this.counter = this.closest(".form-field")?.querySelector(".token-count");
    this.completion = new Completion(this.text, (place) => this.#rectangleAt(place));
    this.text.addEventListener("input", (event) => this.#edited(event));
    this.text.addEventListener("keydown", (event) => this.#key(event));
    this.text.addEventListener("blur", () => this.completion.close());
    this.#draw();
  }

  get value() { return this.text.value; }

  set value(value) {
    if (value === this.text.value) return;
    this.text.value = value ?? "";
    this.#draw();
    this.refresh();
  }

  /** Put words at the end. @param {string} words */
  insert(words) {
    const before = this.text.value.trimEnd();
    const joint = !before ? "" : before.endsWith(",") || words.startsWith("<") ? " " : ", ";
    this.value = before + joint + words;
    this.text.dispatchEvent(new Event("input", { bubbles: true }));
    this.text.focus();
  }

  /** Ask anew for colours and counts. */
  refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { this.#colour(); this.#count(); }, REST_MS);
  }

  #edited(event) {
    this.#draw();
    this.refresh();
    if (event.inputType && event.inputType !== "insertFromPaste") this.completion.offer();
  }

  #key(event) {
    if (this.completion.key(event)) return;
    const turn = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (turn && (event.ctrlKey || event.metaKey)) this.#reweigh(event, turn);
  }

  #reweigh(event, turn) {
    const edit = reweighted(this.text.value, this.text.selectionStart, this.text.selectionEnd, turn);
    if (!edit) return;
    event.preventDefault();
    this.#replace(edit.text);
    this.text.setSelectionRange(edit.start, edit.end);
  }

  /** Through the browser's own editing where it can, so that Ctrl+Z takes it back. */
  #replace(text) {
    const caret = [this.text.selectionStart, this.text.selectionEnd];
    this.text.select();
    if (document.execCommand?.("insertText", false, text)) return;
    this.text.setSelectionRange(...caret);
    this.text.value = text;
    this.text.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #draw() {
    const text = this.text.value;
    this.#tokens = shifted(this.#tokens, this.#shown, text);
    this.#shown = text;
    const spans = [...pieces(text, this.#tokens)].map((piece) => (piece.kind === "text" ? piece.text : h("span", { class: `syntax-${piece.kind}` }, piece.text)));
    this.layer.replaceChildren(...spans, "\u200b"); // gives an empty last line its height
  }

  async #colour() {
    const asked = ++this.#asked;
    const prompt = this.text.value;
    if (!prompt || !this.#coloured) return;
    try {
      const answer = await api.post("/api/v1/queries/prompt_syntax", { prompt, utf16: true });
      if (asked !== this.#asked || prompt !== this.text.value) return;
      this.#tokens = answer.tokens.filter((token) => token.kind !== "text");
      this.#draw();
    } catch (error) {
      if (error.status === 404) this.#coloured = false;
    }
  }

  async #count() {
    const prompt = this.text.value;
    if (!this.counter) return;
    if (!prompt) return void this.#tellCounts([]);
    const { model, steps } = this.context();
    const fields = { prompt, negative: this.hasAttribute("negative"), ...(model ? { model } : {}), ...(steps ? { steps } : {}) };
    const answer = await api.post("/api/v1/queries/token_count", fields).catch(() => ({ counts: [] }));
    if (prompt === this.text.value) this.#tellCounts(answer.counts);
  }

  #tellCounts(counts) {
    const one = (count) => h("span", { class: count.limit && count.windows === 1 && count.tokens > count.limit ? "over" : "", title: this.#inWords(count) },
      `${count.encoder} ${count.tokens}${count.limit ? `/${count.limit * Math.max(1, count.windows)}` : ""}`);
    this.counter.replaceChildren(...counts.map(one));
  }

  #inWords(count) {
    const said = t("{tokens} tokens for {encoder}", { tokens: count.tokens, encoder: count.encoder });
    if (count.windows > 1) return `${said}; ${t("read in {n} windows", { n: count.windows })}`;
    return count.limit && count.tokens > count.limit ? `${said}; ${t("what is beyond {limit} is cut", { limit: count.limit })}` : said;
  }

  /** Where a character stands on the screen: the layer has the same text in the same places. */
  #rectangleAt(place) {
    const walker = document.createTreeWalker(this.layer, NodeFilter.SHOW_TEXT);
    let left = place;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (left < node.length) {
        const range = document.createRange();
        range.setStart(node, left);
        range.setEnd(node, left + 1);
        return range.getBoundingClientRect();
      }
      left -= node.length;
    }
    return this.layer.getBoundingClientRect();
  }
}

customElements.define("sf-prompt", PromptEditor);
