/** Ctrl+Up and Ctrl+Down change the weight of what is selected, or of the word at the caret, as A1111 does. */

const STEP = 0.1;
const NETWORK_STEP = 0.05;
const WORD_ENDS = /[\s.,\\/!?%^*;:{}=`~()<>|[\]]/;

/** @typedef {{text: string, start: number, end: number}} Edit What replaces the text, and the selection after it. */

/** @param {string} text @param {number} start @param {number} end @param {1|-1} direction @returns {Edit|null} */
export function reweighted(text, start, end, direction) {
  return inNetwork(text, start, end, direction) ?? inBrackets(text, start, end, direction) ?? wrapped(text, start, end, direction);
}

/** Within ``<lora:name:0.8>`` the number is changed. */
function inNetwork(text, start, end, direction) {
  const open = text.lastIndexOf("<", start);
  const close = text.indexOf(">", open);
  if (open < 0 || close < Math.max(end - 1, start)) return null;
  const match = /^(<[^:<>]+:[^:<>]+)(?::([-\d.]+))?([^<>]*)>$/.exec(text.slice(open, close + 1));
  if (!match) return null;
  const weight = rounded(Number(match[2] ?? 1) + direction * NETWORK_STEP);
  const tag = `${match[1]}:${weight}${match[3]}>`;
  return { text: text.slice(0, open) + tag + text.slice(close + 1), start, end: Math.min(end, open + tag.length) };
}

/** Within ``(words:1.2)`` the number is changed; at 1 the brackets go. */
function inBrackets(text, start, end, direction) {
  const open = openBracket(text, start);
  if (open < 0) return null;
  const match = /^\(([^()]*?):([-\d.]+)\)/.exec(text.slice(open));
  if (!match || open + match[0].length < end) return null;
  const weight = rounded(Number(match[2]) + direction * STEP);
  const inner = match[1];
  const written = weight === 1 ? inner : `(${inner}:${weight})`;
  const from = weight === 1 ? open : open + 1;
  return { text: text.slice(0, open) + written + text.slice(open + match[0].length), start: from, end: from + inner.length };
}

/** The bracket that is open at a place; -1 when there is none. */
function openBracket(text, place) {
  for (let at = place, depth = 0; at >= 0; at -= 1) {
    if (text[at] === ")" && at < place) depth += 1;
    if (text[at] === "(" && depth-- === 0) return at;
  }
  return -1;
}

function wrapped(text, start, end, direction) {
  const [from, to] = start === end ? wordAt(text, start) : trimmed(text, start, end);
  if (from === to) return null;
  const inner = text.slice(from, to);
  const written = `(${inner}:${rounded(1 + direction * STEP)})`;
  return { text: text.slice(0, from) + written + text.slice(to), start: from + 1, end: from + 1 + inner.length };
}

function wordAt(text, place) {
  let [from, to] = [place, place];
  while (from > 0 && !WORD_ENDS.test(text[from - 1])) from -= 1;
  while (to < text.length && !WORD_ENDS.test(text[to])) to += 1;
  return [from, to];
}

function trimmed(text, start, end) {
  let [from, to] = [start, end];
  while (from < to && /\s/.test(text[from])) from += 1;
  while (to > from && /\s/.test(text[to - 1])) to -= 1;
  return [from, to];
}

const rounded = (number) => Math.round(number * 100) / 100;
