/** What is around every page: badge of the queue, theme, language, list of shortcuts, lost connection. */

import { api } from "./api.js";
import { h, fill, one } from "./dom.js";
import { onConnection, onEvent, onReconnect } from "./events.js";
import { duration, t, tn } from "./i18n.js";
import { shortcut, showShortcuts } from "./shortcuts.js";
import { watchPictures } from "./pictures.js";
import { recall, remember } from "./state.js";
import { toast } from "./toast.js";

/** Jobs that wait or run, kept up to date by events; work in the background is for the page Queue alone. */
const jobs = {
  waiting: 0,
  running: /** @type {any} */ (null),
  handlers: new Set(),
  async load() {
    try {
      const [waiting, running] = await Promise.all([
        api.get("/api/v1/jobs/waiting", { lane: "device", limit: 0 }),
        api.get("/api/v1/jobs", { state: "running", lane: "device", limit: 1 }),
      ]);
      this.waiting = waiting.total;
      this.running = running.items[0] ?? null;
      for (const handler of this.handlers) handler();
    } catch {
      // The connection's banner tells of it.
    }
  },
};

let reload = 0;
function loadSoon() {
  clearTimeout(reload);
  reload = setTimeout(() => jobs.load(), 150);
}

customElements.define(
  "sf-queue-badge",
  class extends HTMLElement {
    connectedCallback() {
      jobs.handlers.add(() => this.show());
    }

    show() {
      const count = jobs.waiting + (jobs.running ? 1 : 0);
      if (!count) return void this.replaceChildren();
      const text = tn("{n} job in the queue", "{n} jobs in the queue", count);
      fill(this, h("span", { class: `badge${jobs.running ? " accent" : ""}`, "aria-hidden": "true" }, count), h("span", { class: "visually-hidden" }, text));
    }
  },
);

customElements.define(
  "sf-running-job",
  class extends HTMLElement {
    connectedCallback() {
      this.bar = h("progress", { max: "1", "aria-label": t("Progress of the running job") });
      this.left = h("span", { class: "muted" });
      this.link = h("a", { href: "/queue/", class: "truncate" });
      this.append(h("div", { class: "truncate" }, this.link), h("div", { class: "progress" }, this.bar, this.left));
      jobs.handlers.add(() => this.show());
    }

    show() {
      const job = jobs.running;
      this.hidden = !job;
      if (!job) return;
      this.link.textContent = job.label || job.kind;
      this.bar.value = job.progress?.fraction ?? 0;
      const seconds = job.progress?.seconds_left;
      this.left.textContent = seconds === null || seconds === undefined ? "" : duration(seconds);
    }
  },
);

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remember("theme", theme);
}

function nextTheme() {
  const themes = ["auto", "dark", "light"];
  const names = { auto: t("Colours follow the system."), dark: t("Dark colours."), light: t("Light colours.") };
  const next = themes[(themes.indexOf(recall("theme", "auto")) + 1) % themes.length];
  setTheme(next);
  toast(names[next], { seconds: 2 });
}

function chooseLanguage(event) {
  document.cookie = `sfumato_language=${event.target.value}; path=/; max-age=31536000; samesite=strict`;
  location.reload();
}

function addShortcuts() {
  const group = t("Everywhere");
  shortcut("?", t("List of shortcuts"), showShortcuts, { group });
  shortcut("shift+d", t("Dark or light"), nextTheme, { group });
  const letters = new Set();
  for (const link of document.querySelectorAll(".navigation a")) {
    const label = link.querySelector("span").textContent.trim();
    const name = new URL(link.href).pathname.split("/")[1];
    const letter = [...name].find((each) => /[a-z]/.test(each) && !letters.has(each));
    if (!letter) continue;
    letters.add(letter);
    shortcut(`g ${letter}`, t("Go to {page}", { page: label }), () => location.assign(link.href), { group });
  }
}

function followProgress(event) {
  if (!jobs.running || event.job !== jobs.running.id) return loadSoon();
  if (!event.data.progress) return loadSoon();
  jobs.running.progress = event.data.progress;
  for (const handler of jobs.handlers) handler();
}

one("#theme-button")?.addEventListener("click", nextTheme);
one("#shortcuts-button")?.addEventListener("click", showShortcuts);
one("#language")?.addEventListener("change", chooseLanguage);
one("#more-button")?.addEventListener("click", () => one("#more-dialog").showModal());
addShortcuts();
onEvent("job_changed", loadSoon);
onEvent("job_removed", loadSoon);
onEvent("step_completed", followProgress);
onReconnect(() => jobs.load());
onConnection((connected) => {
  one("#connection-lost").hidden = connected;
});
watchPictures();
jobs.load();
