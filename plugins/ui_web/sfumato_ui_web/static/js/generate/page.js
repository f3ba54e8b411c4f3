/** The Generate page: its parts are put together here. */

import { debounced, one } from "../dom.js";
import { confirmDialog } from "../dialog.js";
import { t } from "../i18n.js";
import { shortcut } from "../shortcuts.js";
import { recall, remember } from "../state.js";
import { showError, toast } from "../toast.js";
import { upload } from "../forms/picture.js";
import "./prompt.js";
import { askForBatch } from "./batch_dialog.js";
import { attachDrops } from "./dropping.js";
import { attachExtras } from "./extras.js";
import { askForSettings, isInfotext, requestOfInfotext, requestOfPicture } from "./importing.js";
import { Inpainting, takeSize } from "./inpainting.js";
import { jobActions, JobStore } from "./job_store.js";
import { PictureActions } from "./picture_actions.js";
import { QueuePanel } from "./queue_panel.js";
import { SettingsForm } from "./settings_form.js";
import { Stage } from "./stage.js";
import { estimate, Submission } from "./submitting.js";
import { amount } from "./words.js";

const MANY = 12; // pictures of a grid from which the page asks before it queues them
const ESTIMATE_MS = 400;

class GeneratePage {
  #busy = false;
  #last = null;
  #submission = new Submission();

  /** @param {HTMLFormElement} root */
  constructor(root) {
    this.root = root;
    this.form = new SettingsForm(root);
    this.jobs = new JobStore();
    this.actions = new PictureActions({
      gallery: root.dataset.gallery === "yes",
      upscale: "/upscale/",
      reuse: (request) => this.fill(request),
      seed: (seed) => { this.form.set("seed", seed); toast(t("Seed {seed} is in the form.", { seed })); },
      start: (path, mode, size) => this.startFrom(path, mode, size),
      removed: (image) => this.jobs.hide(image.id, true),
      restored: (image) => this.jobs.hide(image.id, false),
    });
    this.stage = new Stage(one(".generate-stage", root), this.jobs, this.actions);
    this.queue = new QueuePanel(one(".generate-queue", root), this.jobs, (job) => this.#look(job), this.actions.gallery);
    this.stage.onShow = (id) => this.queue.mark(id);
    this.inpainting = new Inpainting(one(".generate-stage", root), this.form);
    this.tellEstimate = debounced(() => this.#estimate(), ESTIMATE_MS);
    this.forever = one("#forever", root);
  }

  async start() {
    attachExtras(this.root, () => this.stage.image?.seed, () => this.form.recommended);
    this.#attach();
    this.#attachShortcuts();
    await Promise.all([this.form.restore(), this.jobs.start().catch(showError)]);
    await this.#comeFromElsewhere();
    this.tellEstimate();
    this.root.dataset.ready = "yes";
  }

  #attach() {
    this.root.addEventListener("submit", (event) => { event.preventDefault(); this.generate(); });
    one(".generate-button", this.root).addEventListener("click", (event) => event.detail > 1 && event.preventDefault()); // a double click asks once
    this.form.addEventListener("change", () => this.tellEstimate());
    this.root.addEventListener("picture", (event) => event.target.closest('[data-path="img2img.image"]') && this.#sized(event.detail));
    this.root.addEventListener("paste", (event) => this.#pasted(event));
    one("[data-action=reset]", this.root).addEventListener("click", () => this.#reset());
    one("[data-action=read-settings]", this.root).addEventListener("click", () => askForSettings((request) => this.fill(request)));
    attachDrops({ pictures: (file, how) => this.#takePicture(file, how).catch(showError), prompts: (file) => this.#batch(file) });
    this.jobs.addEventListener("change", () => this.#again());
  }

  #attachShortcuts() {
    const group = t("Generate");
    shortcut("mod+enter", t("Generate"), (event) => event.repeat || this.generate(), { group });
    shortcut("p", t("Go to the prompt"), () => one('[data-path="prompt"] textarea').focus(), { group });
    shortcut("s", t("Skip the rest of this batch"), () => this.#act("skip"), { group });
    shortcut("i", t("Interrupt"), () => this.#act("interrupt"), { group });
    shortcut("alt+arrowleft", t("Picture before"), () => this.stage.step(-1), { group, typing: true });
    shortcut("alt+arrowright", t("Next picture"), () => this.stage.step(1), { group, typing: true });
    shortcut("v", t("Look at the picture large"), () => this.stage.open(), { group });
    shortcut("mod+arrowup", t("More weight for the selected words"), () => {}, { group, scope: one("sf-prompt", this.root) });
    shortcut("mod+arrowdown", t("Less weight for the selected words"), () => {}, { group, scope: one("sf-prompt", this.root) });
  }

  /** Queue what the form asks for. */
  async generate() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      if (!(await this.inpainting.takeMask())) return void toast(t("Paint over what should be drawn anew."), { kind: "warn" });
      if (this.form.check()) return;
      const { work } = this.form;
      if (work.kind === "grid" && !(await this.#sure(work))) return;
      const job = await this.#submission.send(work);
      this.inpainting.look("picture");
      this.stage.follow(job.id);
      this.jobs.add(job);
      this.#last = job.id;
      this.#revealStage();
    } catch (error) {
      this.forever.checked = false;
      showError(error);
    } finally {
      this.#busy = false;
    }
  }

  async #sure(work) {
    const sum = await estimate([work]);
    if (sum.problems?.length) throw new Error(sum.problems.join(" "));
    return sum.images < MANY || confirmDialog({ title: amount(sum), text: t("They are drawn one after another; the queue can be stopped at any time."), confirm: t("Queue them") });
  }

  /** Again and again: once nothing of it waits or runs, the form is asked once more. */
  #again() {
    if (!this.forever.checked || !this.#last || this.#busy) return;
    const job = this.jobs.get(this.#last);
    if (job?.state === "done") this.generate();
    else if (job && ["failed", "cancelled", "interrupted"].includes(job.state)) this.forever.checked = false;
  }

  async #estimate() {
    const place = one(".estimate", this.root);
    try {
      const sum = await estimate([this.form.work]);
      place.textContent = sum.problems?.length ? "" : amount(sum);
      place.title = sum.problems?.join(" ") ?? "";
    } catch { place.textContent = ""; }
  }

  /** @param {any} request */
  async fill(request) {
    const before = this.form.state;
    await this.form.fill({ request });
    toast(t("The form is filled."), { kind: "ok", action: t("Undo"), onAction: () => this.form.fill(before) });
  }

  /** Begin with a picture. @param {string} path @param {string} mode @param {{width?: number, height?: number}} size */
  async startFrom(path, mode, size) {
    this.form.mode = mode;
    this.form.set("img2img.image", path);
    this.#sized(size);
    this.inpainting.look("mask");
    one(".generate-prompts", this.root).scrollIntoView({ block: "start" });
  }

  #sized(size) {
    takeSize(this.form, size);
    this.inpainting.suit(size);
  }

  async #takePicture(file, how) {
    const taken = await upload(file);
    if (how !== "read") return this.startFrom(taken.path, how, taken);
    const request = await requestOfPicture(taken.path);
    if (request) await this.fill(request);
  }

  #batch(file) {
    askForBatch(file, this.form.request, (jobs) => { this.stage.follow(jobs[0]?.id); this.jobs.load().catch(() => {}); }).catch(showError);
  }

  #pasted(event) {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!isInfotext(text)) return;
    const take = () => requestOfInfotext(text).then((request) => this.fill(request)).catch(showError);
    toast(t("That looks like the settings of a picture."), { action: t("Fill the form"), onAction: take });
  }

  async #reset() {
    const before = this.form.state;
    await this.form.fill({ request: {}, mode: "txt2img" });
    toast(t("The form is as new."), { action: t("Undo"), onAction: () => this.form.fill(before) });
  }

  async #act(action) {
    const job = this.jobs.running[0];
    if (job) await jobActions.act(job, action).catch(showError);
  }

  /** Show a job of the queue. */
  #look(job) {
    this.inpainting.look("picture");
    this.stage.show(job, job.images.length ? job.images.length - 1 : undefined);
    this.#revealStage();
  }

  /** On a narrow window the picture may be out of sight. */
  #revealStage() {
    const stage = one(".generate-stage", this.root);
    const { top, bottom, height } = stage.getBoundingClientRect();
    const seen = Math.min(bottom, innerHeight) - Math.max(top, 0);
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
    if (seen < Math.min(height, innerHeight) / 2) stage.scrollIntoView({ block: "start", behavior });
  }

  /** Other pages send pictures and settings: by the address, or by what the browser remembers as "generate.incoming". */
  async #comeFromElsewhere() {
    const asked = new URLSearchParams(location.search);
    const incoming = recall("generate.incoming");
    remember("generate.incoming", undefined);
    if (incoming) await this.#receive(incoming).catch(showError);
    for (const mode of ["img2img", "inpaint", "outpaint"]) if (asked.has(mode)) await this.startFrom(asked.get(mode), mode, {});
    if (asked.has("again")) await requestOfPicture(asked.get("again")).then((request) => request && this.fill(request)).catch(showError);
    if (asked.has("job")) await this.jobs.fetch(asked.get("job")).then((job) => this.stage.show(job)).catch(showError);
    if (location.search) history.replaceState(null, "", location.pathname);
  }

  /** A whole request takes the form; a part of one, or one for a start picture, is laid over what is in it. */
  async #receive({ request, insert, mode, picture }) {
    const isWhole = request && "prompt" in request && !mode;
    if (isWhole) await this.fill(request);
    else if (request) await this.form.fill({ ...this.form.state, mode: mode ?? this.form.mode, request: { ...this.form.request, ...request } });
    if (picture) await this.startFrom(picture.path, mode ?? "img2img", picture);
    if (insert) one('[data-path="prompt"] sf-prompt', this.root).insert(insert);
  }
}

await new GeneratePage(one("#generate")).start();
