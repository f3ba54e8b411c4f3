/** Masks kept in the browser, so that a page that was left or reloaded has them again. */

const DATABASE = "sfumato-masks";
const STORE = "masks";
const MOST = 12;

/**
 * @typedef {{mask: Blob, width: number, height: number, saved: number}} KeptMask
 */

/**
 * @param {string} key
 * @param {KeptMask} kept
 */
export async function keepMask(key, kept) {
  await within("readwrite", async (store) => {
    store.put(kept, key);
    const keys = await answered(store.getAllKeys());
    if (keys.length <= MOST) return;
    const all = await answered(store.getAll());
    const oldest = keys.map((name, i) => ({name, saved: all[i].saved})).sort((a, b) => a.saved - b.saved);
    for (const {name} of oldest.slice(0, keys.length - MOST)) store.delete(name);
  });
}

/** @param {string} key */
export async function forgetMask(key) {
  await within("readwrite", async (store) => void store.delete(key));
}

/**
 * @param {string} key
 * @returns {Promise<KeptMask | undefined>}
 */
export async function keptMask(key) {
  return within("readonly", (store) => answered(store.get(key)));
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => Promise<T>} work
 * @returns {Promise<T | undefined>} Nothing where the browser keeps nothing (private windows).
 */
async function within(mode, work) {
  let database;
  try {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    database = await answered(opening);
    const transaction = database.transaction(STORE, mode);
    const result = await work(transaction.objectStore(STORE));
    await finished(transaction);
    return result;
  } catch {
    return undefined;
  } finally {
    database?.close();
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @param {IDBTransaction} transaction
 * @returns {Promise<void>}
 */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}
