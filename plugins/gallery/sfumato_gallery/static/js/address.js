/** What the page shows, in its address: Back, reload and a link bring it again. */

const KEYS = ["q", "sort", "favourite", "trash", "at", "picture"];
const DEFAULTS = { sort: "newest" };

/** @typedef {{q: string, sort: string, favourite: string, trash: string, at: string, picture: string}} View */

/** @returns {View} */
export function readAddress() {
  const parameters = new URLSearchParams(location.search);
  return /** @type {View} */ (Object.fromEntries(KEYS.map((key) => [key, parameters.get(key) ?? DEFAULTS[key] ?? ""])));
}

/** @param {Partial<View>} change @param {{push?: boolean}} [options]  push: Back leads to what was before */
export function writeAddress(change, { push = false } = {}) {
  const view = { ...readAddress(), ...change };
  const parameters = new URLSearchParams();
  for (const key of KEYS) if (view[key] && view[key] !== DEFAULTS[key]) parameters.set(key, view[key]);
  const text = parameters.toString();
  const address = text ? `?${text}` : location.pathname;
  if (push) history.pushState({ pushed: true }, "", address);
  else history.replaceState(history.state, "", address);
}

/** Parameters of the API for a view. @param {View} view */
export function queryOf(view) {
  const { q, sort, favourite, trash } = view;
  return Object.fromEntries(Object.entries({ q, sort, favourite, trash }).filter(([, value]) => value));
}
