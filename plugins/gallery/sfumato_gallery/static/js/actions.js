/** What is done with pictures. */

import { api } from "/static/js/api.js";
import { confirmDialog, openDialog } from "/static/js/dialog.js";
import { h, meta } from "/static/js/dom.js";
import { t, tn } from "/static/js/i18n.js";
import { remember } from "/static/js/state.js";
import { showError, toast } from "/static/js/toast.js";

/** @import {Picture, PictureSource} from "./source.js" */

const PICTURES = "/api/v1/pictures";

/** Run an action; what goes wrong is told. @template T @param {() => Promise<T>} act @returns {Promise<T | undefined>} */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    showError(error);
    return undefined;
  }
}

/** @param {PictureSource} source @param {Picture[]} pictures */
export function toggleFavourite(source, pictures) {
  const favourite = !pictures.every((picture) => picture.favourite);
  return attempt(async () => {
    await api.patch(`${PICTURES}/`, { ids: pictures.map((picture) => picture.id), favourite });
    for (const picture of pictures) source.update(Object.assign(picture, { favourite }));
  });
}

/** Into the trash, with a way back. @param {PictureSource} source @param {Picture[]} pictures */
export function throwAway(source, pictures) {
  const ids = pictures.map((picture) => picture.id);
  return attempt(async () => {
    const { items } = await api.post(`${PICTURES}/trash`, { ids });
    const places = source.remove(new Set(ids));
    toast(tn("Moved to the trash.", "{n} pictures moved to the trash.", items.length), {
      action: t("Undo"),
      onAction: () => attempt(async () => {
        await api.post(`${PICTURES}/restore`, { ids: items.map((/** @type {Picture} */ item) => item.id) });
        source.put(places);
      }),
    });
  });
}

/** Out of the trash. @param {PictureSource} source @param {Picture[]} pictures */
export function takeBack(source, pictures) {
  const ids = pictures.map((picture) => picture.id);
  return attempt(async () => {
    const { items } = await api.post(`${PICTURES}/restore`, { ids });
    source.remove(new Set(ids));
    toast(tn("Taken back.", "{n} pictures taken back.", items.length), { kind: "ok" });
  });
}

/** @returns {Promise<boolean>} whether it was emptied */
export async function emptyTrash() {
  const sure = await confirmDialog({
    title: t("Empty the trash?"), text: t("The files in it are deleted for good."), confirm: t("Delete for good"),
    danger: true,
  });
  if (!sure) return false;
  const answer = await attempt(() => api.post(`${PICTURES}/trash/empty`));
  if (answer) toast(tn("One file deleted.", "{n} files deleted.", answer.count), { kind: "ok" });
  return Boolean(answer);
}

/** One file as it is, several as a ZIP. @param {Picture[]} pictures */
export function download(pictures) {
  if (pictures.length === 1) return save(`${pictures[0].url}&download=1`, pictures[0].name);
  return attempt(async () => {
    const answer = await fetch(`${PICTURES}/archive`, {
      method: "POST", credentials: "same-origin", body: JSON.stringify({ ids: pictures.map(({ id }) => id) }),
      headers: { "Content-Type": "application/json", "X-CSRF-Token": meta("csrf-token") },
    });
    if (!answer.ok) throw new Error((await answer.json()).title);
    const address = URL.createObjectURL(await answer.blob());
    const name = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "pictures.zip";
    save(address, name);
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
}

function save(/** @type {string} */ address, /** @type {string} */ name) {
  const link = /** @type {HTMLAnchorElement} */ (h("a", { href: address, download: name }));
  document.body.append(link);
  link.click();
  link.remove();
}

/** The request that made a picture, from its file or from what it can be read as. @param {Picture & {request?: any}} picture */
export async function requestOf(picture) {
  const details = picture.request === undefined ? await api.get(`${PICTURES}/${picture.id}`) : picture;
  if (details.request) return details.request;
  const read = await api.post("/api/v1/queries/read_picture", { path: `picture:${picture.id}` });
  return read.request ?? read.requests?.[0] ?? null;
}

/** Open the form with the request that made a picture. @param {Picture} picture */
export function again(picture) {
  return attempt(async () => {
    const request = await requestOf(picture);
    if (!request) {
      toast(t("This picture does not tell how it was made."), { kind: "warn" });
      return;
    }
    remember("generate.incoming", { request });
    location.assign("/generate/");
  });
}

/**
 * Take a picture to another page as its start picture.
 * @param {Picture} picture
 * @param {"img2img" | "inpaint" | "upscale"} place
 */
export function sendTo(picture, place) {
  const path = `picture:${picture.id}`;
  const shown = { path, url: picture.url, name: picture.name, width: picture.width, height: picture.height };
  if (place === "upscale") {
    remember("upscale.incoming", { images: [path], pictures: [shown] });
    location.assign("/upscale/");
    return;
  }
  const request = { prompt: picture.prompt, negative_prompt: picture.negative_prompt, img2img: { image: path } };
  remember("generate.incoming", { request, mode: place, picture: shown });
  location.assign("/generate/");
}

/** Two pictures under a divider. @param {Picture} first @param {Picture} second */
export function compare(first, second) {
  return attempt(async () => {
    await import("/static/js/compare/compare.js");
    const element = /** @type {any} */ (document.createElement("sf-compare"));
    element.show({ src: first.url, label: first.name }, { src: second.url, label: second.name });
    const close = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, t("Close"));
    const dialog = openDialog({ title: t("Compare"), content: element, actions: [close], wide: true });
    dialog.classList.add("gallery-compare");
  });
}
