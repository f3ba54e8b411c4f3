/** The form of the page: settings of a request, the mode, the script, and what depends on model and sampler. */

import { api } from "../api.js";
import { all, debounced, h, one } from "../dom.js";
import { attachForm, attachHints, checkForm, fieldAt, markChanged, readForm, sectionAt, setValue, valueAt, valueOf, writeForm } from "../forms/form.js";
import { t } from "../i18n.js";
import { recall, remember } from "../state.js";

const KEY = "generate";
const MODES = { txt2img: [], img2img: ["img2img"], inpaint: ["img2img", "inpaint"], outpaint: ["img2img", "outpaint"] };
const OPTION_PATHS = { sampler: "sampler_options", model: "model_options" };
const REST_MS = 250;

/** Events: "change" after each change, "mode" when another mode is chosen. */
export class SettingsForm extends EventTarget {
  /** What the chosen model recommends for fields that are left open. */
  recommended = {};
  #asked = { sampler: "", model: "" };
  #filling = false;
  #unkept = false;

  /** @param {HTMLFormElement} root */
  constructor(root) {
    super();
    this.root = root;
    this.grid = one("#grid", root);
    this.script = /** @type {HTMLSelectElement} */ (one("#script-choice", root));
    this.advanced = /** @type {HTMLInputElement} */ (one("#advanced", root));
    this.keep = debounced(() => this.#keepNow(), REST_MS);
    window.addEventListener("pagehide", () => this.#unkept && this.#keepNow()); // another language is a reload
    attachForm(root, () => this.#changed());
    attachHints(root);
    this.advanced.addEventListener("change", () => root.classList.toggle("simple", !this.advanced.checked));
    this.script.addEventListener("change", () => this.#showScript());
    for (const mode of all("[name=mode]", root)) mode.addEventListener("change", () => this.#showMode());
    for (const editor of all("sf-prompt", root)) editor.context = () => ({ model: this.#named("model"), steps: this.#named("steps") });
  }

  #keepNow() {
    this.#unkept = false;
    remember(KEY, this.state);
  }

  /** As it was left, in this browser. */
  async restore() {
    await this.fill(recall(KEY, {}));
  }

  get mode() { return one("[name=mode]:checked", this.root).value; }

  set mode(mode) {
    one(`[name=mode][value=${mode}]`, this.root).checked = true;
    this.#showMode();
  }

  /** All that a reload should bring back. */
  get state() {
    return { request: this.request, mode: this.mode, advanced: this.advanced.checked, script: this.script.value, grid: this.gridFields };
  }

  get request() { return readForm(this.root); }

  get gridFields() { return readForm(this.grid); }

  /** What is to be done: one request, or many made of it. @returns {{kind: string, request: any}} */
  get work() {
    const request = this.request;
    if (!this.script.value) return { kind: "generate", request };
    return { kind: "grid", request: { ...this.gridFields, base: request } };
  }

  /** @param {{request?: any, mode?: string, advanced?: boolean, script?: string, grid?: any}} state */
  async fill({ request = {}, mode = modeOf(request), advanced = this.advanced.checked, script = "", grid = {} }) {
    this.#filling = true;
    this.advanced.checked = advanced;
    this.root.classList.toggle("simple", !advanced);
    writeForm(this.root, request);
    this.mode = mode;
    this.script.value = script;
    writeForm(this.grid, grid);
    this.#showScript();
    this.#filling = false;
    await this.#followChoices();
    for (const path of Object.values(OPTION_PATHS)) this.#writeOptions(path, request);
    this.#changed();
  }

  /** @param {string} path @param {unknown} value */
  set(path, value) { return setValue(this.root, path, value); }

  /** The first field that cannot be, shown; null when all can. */
  check() {
    const wrong = checkForm(this.root) ?? (this.script.value ? checkForm(this.grid) : null);
    if (!wrong) return null;
    if (wrong.closest(".advanced") && !this.advanced.checked) this.advanced.click();
    wrong.closest("details")?.setAttribute("open", "");
    wrong.querySelector('[aria-invalid="true"]')?.focus();
    return wrong;
  }

  #named(path) { return valueOf(fieldAt(this.root, path)) ?? this.recommended[path] ?? null; }

  #writeOptions(path, request) {
    for (const [name, value] of Object.entries(valueAt(request, path) ?? {})) setValue(this.root, `${path}.${name}`, value);
  }

  #changed() {
    if (this.#filling) return;
    this.#unkept = true;
    this.keep();
    this.#followChoices();
    this.dispatchEvent(new Event("change"));
  }

  #showMode() {
    const on = MODES[this.mode];
    for (const name of ["img2img", "inpaint", "outpaint"]) {
      const section = sectionAt(this.root, name);
      if (section) section.on = on.includes(name);
    }
    this.root.dataset.mode = this.mode;
    markChanged(this.root);
    this.dispatchEvent(new Event("mode"));
    this.#changed();
  }

  #showScript() {
    const chosen = this.script.value;
    this.grid.hidden = !chosen;
    for (const part of all("[data-script]", this.grid)) {
      const shown = part.dataset.script === chosen;
      part.hidden = !shown;
      const sections = all("[data-section]", part);
      sections.forEach((section, index) => { section.on = shown && (section.on || index === 0); });
    }
    this.#changed();
  }

  /** What the chosen model recommends, and controls for the options of the model and the sampler. */
  async #followChoices() {
    const model = valueOf(fieldAt(this.root, "model")) ?? "";
    const isNew = this.#asked.model !== `model=${model}`;
    if (isNew) {
      this.#asked.model = `model=${model}`;
      await Promise.all([this.#recommend(model), this.#options("model", new URLSearchParams({ model }))]);
      for (const editor of all("sf-prompt", this.root)) editor.refresh();
    }
    const names = new URLSearchParams({ sampler: this.#named("sampler") ?? "", scheduler: this.#named("scheduler") ?? "" });
    if (this.#asked.sampler === String(names)) return;
    this.#asked.sampler = String(names);
    await this.#options("sampler", names);
  }

  async #recommend(model) {
    const answer = await api.get(this.root.dataset.recommended, { model }).catch(() => ({ defaults: {}, ignores: [] }));
    this.recommended = answer.defaults;
    for (const field of all("[data-path]", this.root)) {
      const value = this.recommended[field.dataset.path];
      const control = field.querySelector("sf-number, sf-choice");
      if (value !== undefined && control && !this.grid.contains(field)) control.recommend(value);
      this.#tellIgnored(field, answer.ignores.includes(field.dataset.path));
    }
    this.dispatchEvent(new Event("recommended"));
  }

  #tellIgnored(field, ignored) {
    field.classList.toggle("ignored", ignored);
    field.querySelector(":scope > .field-ignored")?.remove();
    if (ignored) field.append(h("p", { class: "field-ignored" }, t("Without effect on this model.")));
  }

  /** The server draws these controls too: what is chosen says which. */
  async #options(kind, names) {
    const place = one(`[data-options-of=${kind}]`, this.root);
    const answer = await fetch(`${this.root.dataset.options}${kind}?${names}`, { credentials: "same-origin" }).catch(() => null);
    if (!answer?.ok) return;
    const drawn = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = valueAt(readForm(place), OPTION_PATHS[kind]) ?? {};
    place.replaceChildren(...drawn.body.childNodes);
    for (const [name, value] of Object.entries(before)) setValue(place, `${OPTION_PATHS[kind]}.${name}`, value);
  }
}

/** The mode that a request is for. @param {any} request */
export function modeOf(request) {
  if (request.inpaint) return "inpaint";
  if (request.outpaint) return "outpaint";
  return request.img2img ? "img2img" : "txt2img";
}
