/** What the browser remembers, for each user by itself: JSON in its local storage. */

import { meta } from "./dom.js";

const everyone = new Set(["theme"]); // known before anybody has logged in

function place(key) {
  return everyone.has(key) ? `sfumato:${key}` : `sfumato:${meta("user")}:${key}`;
}

/** Keep a value; undefined forgets it. False when the browser has no room for it. */
export function remember(key, value) {
  try {
    if (value === undefined) localStorage.removeItem(place(key));
    else localStorage.setItem(place(key), JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** The value that was kept, or `otherwise`. */
export function recall(key, otherwise = null) {
  try {
    const text = localStorage.getItem(place(key));
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

/** Call `handler(value)` when another tab keeps a value. Returns a function that ends this. */
export function onRemembered(key, handler) {
  const listener = (event) => {
    if (event.key === place(key)) handler(recall(key));
  };
  addEventListener("storage", listener);
  return () => removeEventListener("storage", listener);
}
