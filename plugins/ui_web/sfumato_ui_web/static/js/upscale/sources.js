/** The pictures that are to be enlarged: dropped, pasted, chosen, or sent here from another page. */

import { h } from "../dom.js";
import { addressOf, picturesIn, upload } from "../forms/picture.js";
import { t, tn } from "../i18n.js";
import { recall, remember } from "../state.js";
import { showError } from "../toast.js";

const AT_ONCE = 3; // uploads

/** @typedef {{path: string, name: string, url?: string}} Source What a request may name, what people call it, and where it is seen. */

export class Sources {
  /**
   * @param {HTMLElement} page
   * @param {() => void} onChange
   */
  constructor(page, onChange) {
    this.onChange = onChange;
    const find = (/** @type {string} */ id) => /** @type {any} */ (page.querySelector(`#upscale-${id}`));
    this.list = find("sources");
    this.count = find("count");
    this.clear = find("clear");
    this.choose = find("choose");
    this.files = find("files");
    this.said = find("said");
    /** @type {Source[]} */
    this.items = [];
    this.listen(page);
  }

  /** @param {HTMLElement} page */
  listen(page) {
    this.choose.addEventListener("click", () => this.files.click());
    this.files.addEventListener("change", () => {
      this.take([...this.files.files]);
      this.files.value = "";
    });
    this.clear.addEventListener("click", () => {
      this.set([]);
      this.choose.focus();
    });
    document.addEventListener("paste", (event) => this.given(event, event.clipboardData));
    page.addEventListener("drop", (event) => this.given(event, event.dataTransfer));
    page.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.choose.classList.add("over");
    });
    page.addEventListener("dragleave", () => this.choose.classList.remove("over"));
  }

  /** Those of the last visit, and those that another page sent. @param {Source[]} kept */
  restore(kept) {
    const address = new URL(location.href);
    const named = address.searchParams.getAll("picture").map((id) => ({ path: `picture:${id}`, name: id }));
    const sent = sentHere(recall("upscale.incoming"));
    remember("upscale.incoming", undefined);
    if (named.length) {
      address.searchParams.delete("picture");
      history.replaceState(null, "", address);
    }
    const arrived = [...named, ...sent];
    this.set(arrived.length ? arrived : kept);
  }

  /** @param {Event} event @param {DataTransfer | null} data */
  given(event, data) {
    this.choose.classList.remove("over");
    const files = picturesIn(data);
    if (!files.length) return;
    event.preventDefault();
    this.take(files);
  }

  /** Upload pictures, a few at a time; one that cannot be does not stop the others. @param {File[]} files */
  async take(files) {
    const waiting = [...files];
    this.choose.setAttribute("aria-busy", "true");
    const work = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        try {
          const { path } = await upload(file);
          this.set([...this.items, { path, name: file.name }]);
        } catch (error) {
          showError(error);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.choose.removeAttribute("aria-busy");
    this.said.textContent = tn("{n} picture is chosen.", "{n} pictures are chosen.", this.items.length);
  }

  /** @param {Source[]} items */
  set(items) {
    this.items = items.filter((item, i) => items.findIndex((other) => other.path === item.path) === i);
    this.count.textContent = String(this.items.length);
    this.count.hidden = this.clear.hidden = !this.items.length;
    this.list.replaceChildren(...this.items.map((item) => this.row(item)));
    this.onChange();
  }

  /** @param {Source} item */
  row(item) {
    const out = () => {
      this.set(this.items.filter((other) => other !== item));
      this.choose.focus();
    };
    const label = t("Remove {name}", { name: item.name });
    return h(
      "li",
      { class: "upscale-source" },
      h("img", { src: seenAt(item), alt: item.name, title: item.name, loading: "lazy" }),
      h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: out }, "×"),
    );
  }
}

/** Where a source can be seen; "" where only the server knows. @param {Source} source */
export function seenAt({ path, url }) {
  return url ?? addressOf(path);
}

/** @param {{images?: string[], pictures?: {path: string, url?: string, name?: string}[]} | null} incoming @returns {Source[]} */
function sentHere(incoming) {
  const about = new Map((incoming?.pictures ?? []).map((picture) => [picture.path, picture]));
  return (incoming?.images ?? [...about.keys()]).map((path) => {
    const { url, name } = about.get(path) ?? {};
    return { path, url, name: name ?? path.split(/[\\/:]/).pop() ?? path };
  });
}
