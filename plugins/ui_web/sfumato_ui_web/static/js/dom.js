/** Elements made by hand, safely: text is always text. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 *
 * Attributes: `on<event>` functions become listeners, `class`, `dataset` and `style` objects are understood, true
 * and false set and leave out, properties such as `value`, `checked`, `disabled` are set as properties.
 *
 * @param {string} tag
 * @param {Record<string, any> | null} [attributes]
 * @param {...(Node | string | number | null | undefined | false | any[])} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(element, name, value);
  append(element, children);
  return element;
}

function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on") && typeof value === "function") {
    element.addEventListener(name.slice(2).toLowerCase(), value);
  } else if (name === "dataset") {
    Object.assign(element.dataset, value);
  } else if (name === "style" && typeof value === "object") {
    for (const [property, setting] of Object.entries(value)) {
      if (property.includes("-")) element.style.setProperty(property, setting);
      else element.style[property] = setting;
    }
  } else if (["value", "checked", "disabled", "selected", "indeterminate", "open"].includes(name) && name in element) {
    element[name] = value;
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Put nodes and texts at the end of an element; lists are flattened, null and false left out. */
export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Replace all that is in an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/**
 * A drawn sign of 24 by 24, hidden from screen readers.
 * @param {string} path Data of an SVG path.
 */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** @param {string} selector @param {ParentNode} [within] @returns {any} */
export function one(selector, within = document) {
  return within.querySelector(selector);
}

/** @param {string} selector @param {ParentNode} [within] @returns {any[]} */
export function all(selector, within = document) {
  return [...within.querySelectorAll(selector)];
}

/** What a `<meta name=...>` of the page says. */
export function meta(name) {
  return document.querySelector(`meta[name="${name}"]`)?.content ?? "";
}

/** Call `act` once things have been quiet for `milliseconds`. */
export function debounced(act, milliseconds = 250) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), milliseconds);
  };
}
