/** Moments as people speak of them. */

import { locale, t } from "./i18n.js";

const STEPS = [
  [60, 1, "second"],
  [3600, 60, "minute"],
  [86400, 3600, "hour"],
  [2592000, 86400, "day"],
];

/** "5 minutes ago"; a date for what is older than a month. @param {string | number | Date} value */
export function ago(value) {
  const moment = new Date(value);
  const seconds = (moment.getTime() - Date.now()) / 1000;
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  if (!step) return new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(moment);
  if (Math.abs(seconds) < 10) return t("just now");
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(Math.round(seconds / step[1]), step[2]);
}

/** A `<time>` that keeps the exact moment for those who point at it. */
export function timeElement(value) {
  const element = document.createElement("time");
  element.dateTime = new Date(value).toISOString();
  element.title = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" }).format(new Date(value));
  element.textContent = ago(value);
  return element;
}
