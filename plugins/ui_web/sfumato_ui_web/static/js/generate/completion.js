/** Names that are offered while one types: LoRAs in a tag, wildcards behind two underscores, embeddings as words. */

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { choices, fitting } from "../forms/choices.js";

const MOST = 12;
const EMBEDDING_FROM = 3; // letters of a word before embeddings are offered

const PLACES = [
  { pattern: /<(lora|lyco):([^<>:\n]*)$/, source: "loras", write: (name, kind) => `<${kind}:${name}:1>` },
  { pattern: /(__)([^_\s][^\s,]*)?$/, source: "wildcards", write: (name) => `__${name}__` },
  { pattern: new RegExp(`(^|[\\s,(])([^\\s,()<>\\[\\]{}|:]{${EMBEDDING_FROM},})$`), source: "embeddings", write: (name, lead) => lead + name },
];

/** What is being written at the end of a text. @param {string} before */
export function begun(before) {
  for (const place of PLACES) {
    const match = place.pattern.exec(before);
    if (match) return { ...place, lead: match[1], typed: match[2] ?? "", start: match.index };
  }
  return null;
}

export class Completion {
  #shown = [];
  #active = 0;
  #place = null;
  #asked = 0;

  /** @param {HTMLTextAreaElement} editor @param {(place: number) => DOMRect} rectangleAt Where a character stands. */
  constructor(editor, rectangleAt) {
    this.editor = editor;
    this.rectangleAt = rectangleAt;
    this.list = h("ul", { role: "listbox", class: "choice-list completion", id: `${editor.id}-completion`, "aria-label": t("Names that fit") });
    this.list.hidden = true;
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take([...this.list.children].indexOf(option));
    });
    editor.after(this.list);
    editor.setAttribute("aria-controls", this.list.id);
  }

  get open() { return !this.list.hidden; }

  close() {
    this.#asked += 1;
    this.list.hidden = true;
    this.editor.removeAttribute("aria-activedescendant");
  }

  async offer() {
    const asked = ++this.#asked;
    const caret = this.editor.selectionStart;
    this.#place = caret === this.editor.selectionEnd ? begun(this.editor.value.slice(0, caret)) : null;
    if (!this.#place) return this.close();
    const items = await choices.of(this.#place.source).catch(() => []);
    if (asked !== this.#asked) return;
    this.#shown = fitting(items, this.#place.typed).slice(0, MOST);
    const finished = this.#shown.length === 1 && this.#shown[0].value === this.#place.typed && this.#place.source === "embeddings";
    if (!this.#shown.length || finished) return this.close();
    this.#active = 0;
    this.#draw();
  }

  #draw() {
    this.list.replaceChildren(...this.#shown.map((item, index) => h("li", { role: "option", id: `${this.list.id}-${index}` },
      h("span", {}, item.label), ...(item.hint ? [h("span", { class: "choice-hint" }, item.hint)] : []))));
    this.list.hidden = false;
    const at = this.rectangleAt(this.#place.start);
    const around = this.list.offsetParent.getBoundingClientRect();
    this.list.style.left = `${Math.max(0, Math.min(at.left - around.left, around.width - this.list.offsetWidth))}px`;
    this.list.style.top = `${at.bottom - around.top + 4}px`;
    this.#mark();
  }

  #mark() {
    [...this.list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === this.#active)));
    this.editor.setAttribute("aria-activedescendant", `${this.list.id}-${this.#active}`);
    this.list.children[this.#active]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event @returns {boolean} Whether the key was for the list. */
  key(event) {
    if (!this.open || event.ctrlKey || event.metaKey || event.altKey) return false;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      this.#active = (this.#active + moves[event.key] + this.#shown.length) % this.#shown.length;
      this.#mark();
    } else if (event.key === "Enter" || event.key === "Tab") this.take(this.#active);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  take(index) {
    const { value } = this.#shown[index];
    const { start, write, lead } = this.#place;
    this.editor.setRangeText(write(value, lead), start, this.editor.selectionStart, "end");
    this.close();
    this.editor.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertReplacementText" }));
  }
}
