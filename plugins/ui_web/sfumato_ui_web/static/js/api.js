/** The JSON API as functions: `await api.post("/api/v1/jobs", {kind, request})`. */

import { meta } from "./dom.js";
import { t } from "./i18n.js";

/** An answer that is an error. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 when there was no answer.
   * @param {{title?: string, detail?: string, hint?: string, errors?: any[]}} problem RFC 9457.
   */
  constructor(status, problem) {
    super([problem.title, problem.detail, problem.hint].filter(Boolean).map((text) => t(text)).join(" "));
    this.name = "ApiError";
    this.status = status;
    this.problem = problem;
  }
}

function address(path, params) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === undefined || value === null || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
  }
  return url;
}

/** @returns {Promise<any>} The JSON of the answer, or null where it has none. */
async function send(method, path, { params, body, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", "X-CSRF-Token": meta("csrf-token"), ...headers };
  let answer;
  try {
    answer = await fetch(address(path, params), { method, headers: sent, body, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { title: t("The server does not answer."), hint: t("Is it still running?") });
  }
  if (answer.status === 401) location.assign(`/login?${new URLSearchParams({ next: location.pathname + location.search })}`);
  const isJson = /\bjson\b/.test(answer.headers.get("Content-Type") ?? "");
  const value = isJson ? await answer.json().catch(() => null) : null;
  if (!answer.ok) throw new ApiError(answer.status, value ?? { title: `${answer.status} ${answer.statusText}` });
  return value;
}

function sendJson(method) {
  return (path, value, options = {}) =>
    send(method, path, {
      ...options,
      body: value === undefined ? undefined : JSON.stringify(value),
      headers: value === undefined ? options.headers : { "Content-Type": "application/json", ...options.headers },
    });
}

export const api = {
  /** @param {string} path @param {Record<string, any>} [params] @param {{signal?: AbortSignal}} [options] */
  get: (path, params, options = {}) => send("GET", path, { ...options, params }),
  post: sendJson("POST"),
  patch: sendJson("PATCH"),
  put: sendJson("PUT"),
  delete: sendJson("DELETE"),
  /** @param {string} path @param {File | Blob} file @param {string} [name] */
  upload(path, file, name) {
    const form = new FormData();
    form.append("file", file, name ?? file.name ?? "picture.png");
    return send("POST", path, { body: form });
  },
};
