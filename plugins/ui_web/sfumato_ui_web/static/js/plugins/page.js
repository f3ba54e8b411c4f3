/** The page Plugins: search, switch on and off, restart the workers. */

import { api } from "../api.js";
import { all, h, one } from "../dom.js";
import { confirmDialog } from "../dialog.js";
import { t } from "../i18n.js";
import { showError, toast } from "../toast.js";
import { copyText } from "../clipboard.js";

class PluginsPage extends HTMLElement {
  connectedCallback() {
    this.cards = all(".plugin-card", this);
    one(".plugins-search input", this).addEventListener("input", (event) => this.search(event.target.value));
    one(".plugins-restart-workers", this).addEventListener("click", () => this.restartWorkers());
    for (const card of this.cards) {
      one(".plugin-switch input", card)?.addEventListener("change", (event) => this.turn(card, event.target));
      one(".plugin-copy", card)?.addEventListener("click", () => this.copy(one(".plugin-traceback pre", card).textContent));
    }
  }

  search(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of this.cards) {
      card.hidden = !words.every((word) => card.dataset.text.includes(word));
      shown += card.hidden ? 0 : 1;
    }
    one(".plugins-none", this).hidden = shown > 0;
  }

  async turn(card, box) {
    const { name } = card.dataset;
    if (!box.checked && !(await this.sure(name))) return void (box.checked = true);
    box.disabled = true;
    try {
      await api.post(`/api/v1/plugins/${encodeURIComponent(name)}/${box.checked ? "enable" : "disable"}`);
      this.mark(card, box.checked);
      toast(box.checked ? t("“{name}” is on after a restart.", { name }) : t("“{name}” is off after a restart.", { name }), { kind: "ok" });
    } catch (error) {
      box.checked = !box.checked;
      showError(error);
    } finally {
      box.disabled = false;
      box.focus();
    }
  }

  sure(name) {
    return confirmDialog({
      title: t("Switch “{name}” off?", { name }),
      text: t("What it brings is gone after a restart; pictures, settings and files stay. It can be switched on again here."),
      confirm: t("Switch off"),
    });
  }

  mark(card, on) {
    one(".plugin-pending", card)?.remove();
    const isOn = !card.classList.contains("disabled");
    if (isOn !== on) one(".plugin-title", card).append(h("span", { class: "badge warn plugin-pending" }, on ? t("on after a restart") : t("off after a restart")));
    one(".plugins-restart", this).hidden = !one(".plugin-pending", this);
  }

  async restartWorkers() {
    try {
      const { items } = await api.get("/api/v1/workers");
      for (const worker of items) await api.post(`/api/v1/workers/${worker.lane}/restart`);
      toast(t("Each worker starts anew once its job is over."), { kind: "ok" });
    } catch (error) {
      showError(error);
    }
  }

  async copy(text) {
    await copyText(text);
    toast(t("Copied."), { kind: "ok", seconds: 3 });
  }
}

customElements.define("sf-plugins", PluginsPage);
