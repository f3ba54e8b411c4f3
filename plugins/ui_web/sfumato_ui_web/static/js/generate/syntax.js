/** Stretches of a prompt and their kinds, kept right between two answers of the server. */

/** @typedef {{kind: string, start: number, end: number}} Token */

/**
 * Tokens of a text that was edited: those before the edit stay, those behind it move along, those it touches grow.
 * @param {Token[]} tokens @param {string} before @param {string} after @returns {Token[]}
 */
export function shifted(tokens, before, after) {
  let start = 0;
  while (start < Math.min(before.length, after.length) && before[start] === after[start]) start += 1;
  let tail = 0;
  const room = Math.min(before.length, after.length) - start;
  while (tail < room && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const end = before.length - tail;
  const move = (place) => (place >= end ? place + after.length - before.length : Math.min(place, start));
  return tokens
    .map((token) => ({ kind: token.kind, start: token.start <= start ? token.start : move(token.start), end: move(token.end) }))
    .filter((token) => token.end > token.start);
}

/** The whole text in order; what no token covers is plain. @param {string} text @param {Token[]} tokens */
export function* pieces(text, tokens) {
  let at = 0;
  for (const token of tokens) {
    if (token.start < at || token.end > text.length) continue;
    if (token.start > at) yield { kind: "text", text: text.slice(at, token.start) };
    yield { kind: token.kind, text: text.slice(token.start, token.end) };
    at = token.end;
  }
  if (at < text.length) yield { kind: "text", text: text.slice(at) };
}
