/** The page Settings: each control stores its value by itself, and tells at once what came of it. */

import { api } from "../api.js";
import { all, debounced, h, one } from "../dom.js";
import { t, tn } from "../i18n.js";
import { toast } from "../toast.js";

class SettingsPage extends HTMLElement {
  connectedCallback() {
    this.rows = all(".setting", this);
    for (const row of this.rows) this.attach(row);
    this.search = one(".settings-search input", this);
    this.search.addEventListener("input", debounced(() => this.filter(), 80));
    one("[name=changed]", this).addEventListener("change", () => this.filter());
    this.watchSections();
    if (location.hash) one(location.hash, this)?.focus({ preventScroll: true });
  }

  attach(row) {
    const control = controlOf(row);
    control.addEventListener("change", () => this.store(row));
    control.addEventListener("input", () => showProblem(row, ""));
    if (control.tagName === "TEXTAREA") control.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && control.blur());
    control.addEventListener("keydown", (event) => event.key === "Escape" && (show(row), showProblem(row, "")));
    one(".setting-reset", row).addEventListener("click", () => this.reset(row));
    tellOrigin(row);
  }

  async store(row) {
    const read = valueOf(row);
    if (read.problem) return showProblem(row, read.problem);
    const before = JSON.parse(row.dataset.value);
    if (JSON.stringify(read.value) === JSON.stringify(before) && !("secret" in row.dataset)) return undefined;
    return this.send(row, () => api.put(`/api/v1/settings/${row.dataset.key}`, { value: read.value }), before);
  }

  async reset(row) {
    const before = JSON.parse(row.dataset.value);
    await this.send(row, () => api.delete(`/api/v1/settings/${row.dataset.key}`), before);
    controlOf(row).focus();
  }

  async send(row, change, before) {
    row.classList.add("saving");
    try {
      await change();
      await this.reread(row);
      showProblem(row, "");
      this.tell(row, before);
    } catch (error) {
      showProblem(row, problemText(error));
    } finally {
      row.classList.remove("saving");
    }
  }

  async reread(row) {
    const state = await api.get(this.dataset.state.replace("KEY", row.dataset.key));
    row.dataset.value = JSON.stringify(state.value);
    row.dataset.origin = state.origin;
    row.classList.toggle("changed", state.origin !== "default");
    row.classList.toggle("overridden", state.overridden);
    one(".setting-origin", row).dataset.detail = state.detail;
    one(".setting-reset", row).hidden = state.origin !== "file";
    show(row);
    tellOrigin(row);
  }

  /** What came of the change, with a way back. */
  tell(row, before) {
    const server = row.dataset.applies === "server";
    if (server) one(".settings-restart", this).hidden = false;
    const text = row.classList.contains("overridden")
      ? t("Kept in the file, but something stronger gives another value.")
      : server
        ? t("Kept. It holds once the server is started again.")
        : t("Kept. Workers take it up with the next job.");
    const undo = () => this.send(row, () => api.put(`/api/v1/settings/${row.dataset.key}`, { value: before }), JSON.parse(row.dataset.value));
    toast(text, { kind: row.classList.contains("overridden") ? "warn" : "ok", ...("secret" in row.dataset ? {} : { action: t("Undo"), onAction: undo }) });
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const onlyChanged = one("[name=changed]", this).checked;
    let shown = 0;
    for (const row of this.rows) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word)) || (onlyChanged && !row.classList.contains("changed"));
      shown += row.hidden ? 0 : 1;
    }
    for (const section of all(".settings-section", this)) {
      const rows = all(".setting", section);
      section.hidden = rows.length > 0 && rows.every((row) => row.hidden);
      const link = one(`.settings-nav [data-section="${section.id}"]`, this);
      if (link) link.hidden = section.hidden;
    }
    one(".settings-none", this).hidden = shown > 0;
    one(".settings-count", this).textContent = tn("{n} setting", "{n} settings", shown);
  }

  watchSections() {
    const links = new Map(all(".settings-nav a", this).map((link) => [link.dataset.section, link]));
    const seen = new Set();
    const watcher = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
        const first = all(".settings-section", this).find((section) => seen.has(section.id));
        for (const [name, link] of links) name === first?.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
      },
      { rootMargin: "-10% 0px -60% 0px" },
    );
    for (const section of all(".settings-section", this)) watcher.observe(section);
  }
}

function controlOf(row) {
  return one(":is(input, select, textarea)", one(".setting-control", row));
}

/** @returns {{value?: any, problem?: string}} As JSON has it. */
function valueOf(row) {
  const control = controlOf(row);
  const text = control.value.trim();
  const open = "optional" in row.dataset && !text;
  switch (row.dataset.kind) {
    case "switch":
      return { value: control.checked };
    case "maybe":
      return { value: text === "" ? null : text === "true" };
    case "integer":
    case "number":
      if (open) return { value: null };
      return control.validity.valid && text ? { value: Number(text) } : { problem: control.validationMessage || t("A number is needed.") };
    case "list":
    case "pictures":
      return { value: text.split("\n").map((line) => line.trim()).filter(Boolean) };
    case "pairs":
      try {
        return { value: JSON.parse(text || "{}") };
      } catch {
        return { problem: t("Write it as JSON, such as {example}", { example: '{"name": 1}' }) };
      }
    default:
      return { value: open ? null : control.value };
  }
}

/** Let the control show the value in force. */
function show(row) {
  const value = JSON.parse(row.dataset.value);
  const control = controlOf(row);
  if (row.dataset.kind === "switch") {
    control.checked = Boolean(value);
    one(".setting-switch-word", row).textContent = value ? t("On") : t("Off");
  } else if ("secret" in row.dataset) control.value = "";
  else if (row.dataset.kind === "pairs") control.value = value && Object.keys(value).length ? JSON.stringify(value) : "";
  else control.value = Array.isArray(value) ? value.join("\n") : value === null ? "" : String(value);
  if (control.tagName === "TEXTAREA" && Array.isArray(value)) control.rows = Math.min(6, Math.max(1, value.length));
}

function tellOrigin(row) {
  const origin = one(".setting-origin", row);
  const { detail } = origin.dataset;
  const texts = {
    default: t("Default"),
    file: t("From the settings file"),
    environment: t("Given by the environment variable {name}; a change here has no effect while it is set", { name: detail }),
    "command line": t("Given on the command line; a change here has no effect until the next start", {}),
  };
  origin.textContent = texts[row.dataset.origin] ?? row.dataset.origin;
  if (row.dataset.origin === "file") {
    const value = JSON.parse(row.dataset.default);
    const shown = Array.isArray(value) ? value.join(", ") : value;
    const words = shown === null || shown === "" ? t("empty") : shown === true ? t("On") : shown === false ? t("Off") : String(shown);
    if (!("secret" in row.dataset)) origin.append(" · ", h("span", null, t("default: {value}", { value: words })));
  }
}

function showProblem(row, text) {
  const place = one(".setting-problem", row);
  place.textContent = text;
  place.hidden = !text;
  const control = controlOf(row);
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

function problemText(error) {
  const { title, detail, hint } = error.problem ?? {};
  return [title, detail, hint].filter(Boolean).join(" ") || error.message;
}

customElements.define("sf-settings", SettingsPage);
