/** A picture that is dropped, pasted or chosen; it is uploaded at once, and the form holds where it lies. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { showError } from "../toast.js";

/** Where a picture of a request can be seen; "" for a path that only the server knows. @param {string} path */
export function addressOf(path) {
  const [kind, id] = [path.slice(0, path.indexOf(":")), path.slice(path.indexOf(":") + 1)];
  if (kind === "upload") return `/api/v1/uploads/${encodeURIComponent(id)}`;
  if (kind === "picture") return `/api/v1/pictures/${encodeURIComponent(id)}/file`;
  return "";
}

/** Pictures among what was dropped or pasted. @param {DataTransfer|null} data */
export function picturesIn(data) {
  return [...(data?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** @param {File|Blob} file @returns {Promise<{path: string, url: string, width: number, height: number}>} */
export function upload(file) { return api.upload("/api/v1/uploads", file); }

export class PictureControl extends HTMLElement {
  #values = [];

  connectedCallback() {
    this.button = /** @type {HTMLButtonElement} */ (this.querySelector(".picture-choose"));
    this.file = /** @type {HTMLInputElement} */ (this.querySelector("input[type=file]"));
    this.invitation = this.querySelector(".picture-invitation");
    this.button.addEventListener("click", () => this.file.click());
    this.file.addEventListener("change", () => this.#chosen());
    this.addEventListener("paste", (event) => this.#given(event, event.clipboardData));
    this.addEventListener("drop", (event) => this.#given(event, event.dataTransfer));
    this.addEventListener("dragover", (event) => { event.preventDefault(); this.classList.add("over"); });
    this.addEventListener("dragleave", () => this.classList.remove("over"));
  }

  get multiple() { return this.hasAttribute("multiple"); }

  get value() { return this.multiple ? [...this.#values] : this.#values[0] ?? null; }

  set value(value) {
    this.#values = (Array.isArray(value) ? value : [value]).filter(Boolean);
    this.#draw();
  }

  #chosen() {
    this.take([...this.file.files]);
    this.file.value = "";
  }

  #given(event, data) {
    this.classList.remove("over");
    const files = picturesIn(data);
    if (!files.length) return;
    event.preventDefault();
    event.stopPropagation();
    this.take(files);
  }

  /** Upload pictures and hold them. @param {(File|Blob)[]} files */
  async take(files) {
    const wanted = this.multiple ? files : files.slice(0, 1);
    this.setAttribute("aria-busy", "true");
    try {
      const taken = await Promise.all(wanted.map(upload));
      this.value = [...(this.multiple ? this.#values : []), ...taken.map((one) => one.path)];
      this.#tell({ width: taken[0]?.width, height: taken[0]?.height });
    } catch (error) {
      showError(error);
    } finally {
      this.removeAttribute("aria-busy");
    }
  }

  #tell(detail) {
    this.dispatchEvent(new Event("input", { bubbles: true }));
    this.dispatchEvent(new CustomEvent("picture", { bubbles: true, detail }));
  }

  #draw() {
    this.querySelectorAll(".picture-held").forEach((held) => held.remove());
    this.button.before(...this.#values.map((path) => this.#held(path)));
    this.button.hidden = this.#values.length > 0 && !this.multiple;
  }

  #held(path) {
    const address = addressOf(path);
    const name = path.split(/[\\/:]/).pop() ?? path;
    const shown = address ? h("img", { src: address, alt: t("Chosen picture"), class: "picture-shown" }) : h("span", { class: "mono" }, name);
    const out = h("button", { type: "button", class: "icon-button picture-clear", "aria-label": t("Remove this picture") }, "×");
    out.addEventListener("click", () => {
      this.value = this.#values.filter((other) => other !== path);
      this.#tell({});
      this.button.focus();
    });
    return h("div", { class: "picture-held" }, shown, out);
  }
}

customElements.define("sf-picture", PictureControl);
