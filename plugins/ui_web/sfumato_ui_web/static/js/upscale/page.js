/** The page Upscale: pictures and settings become jobs, one for each picture. */

import "../forms/controls.js";
import { api } from "../api.js";
import { one } from "../dom.js";
import { attachForm, attachHints, checkForm, readForm, writeForm } from "../forms/form.js";
import { t, tn } from "../i18n.js";
import { shortcut } from "../shortcuts.js";
import { recall, remember } from "../state.js";
import { showError, toast } from "../toast.js";
import { Results } from "./results.js";
import { seenAt, Sources } from "./sources.js";

const page = one("#upscale");
const form = one("#upscale-form");
const go = one("#upscale-go");
const kept = recall("upscale") ?? {};

const results = new Results(page);
const sources = new Sources(page, changed);

function changed() {
  const { length } = sources.items;
  go.disabled = !length;
  go.textContent = length > 1 ? tn("Upscale {n} picture", "Upscale {n} pictures", length) : t("Upscale");
  remember("upscale", { sources: sources.items, request: readForm(form) });
}

async function submit() {
  const wrong = checkForm(form);
  if (wrong) {
    const more = wrong.closest("details");
    if (more) more.open = true;
    one("input:not([type=file]), select, button:not(.hint-button)", wrong)?.focus();
    return;
  }
  if (!sources.items.length) return toast(t("Choose a picture first."), { kind: "warn" });
  const request = readForm(form);
  const jobs = sources.items.map(({ path, name }) => ({ kind: "upscale", request: { ...request, images: [path] }, label: name }));
  go.disabled = true;
  try {
    const { items } = await api.post("/api/v1/jobs/batch", { jobs });
    results.add(items, sources.items.map(seenAt));
  } catch (error) {
    showError(error);
  } finally {
    go.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
writeForm(form, kept.request ?? {});
attachForm(form, changed);
attachHints?.(form);
shortcut("mod+enter", t("Upscale"), submit, { typing: true });
sources.restore(kept.sources ?? []);
results.load();
