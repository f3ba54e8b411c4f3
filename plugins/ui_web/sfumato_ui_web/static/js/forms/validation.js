/** What is wrong with a value, in plain words. The server checks again, by the schema itself. */

import { t } from "../i18n.js";

/** @param {HTMLElement} field @param {any} value @returns {string} Empty: nothing is. */
export function problemOf(field, value) {
  const empty = value === null || value === "" || (Array.isArray(value) && !value.length);
  if (empty && field.hasAttribute("data-required")) return t("This is needed.");
  const number = field.querySelector("sf-number");
  if (number) return numberProblem(number, value, field.hasAttribute("data-optional"));
  return "";
}

function numberProblem(number, value, optional) {
  if (value === undefined) return t("This is not a number.");
  if (value === null) return optional ? "" : t("A number is needed here.");
  const { min, max } = number.input;
  const above = number.getAttribute("above");
  if (number.hasAttribute("whole") && !Number.isInteger(value)) return t("Only whole numbers.");
  if (min !== "" && value < Number(min)) return t("At least {low}.", { low: Number(min) });
  if (max !== "" && value > Number(max)) return t("At most {high}.", { high: Number(max) });
  if (above !== null && value <= Number(above)) return t("More than {low}.", { low: Number(above) });
  return "";
}
