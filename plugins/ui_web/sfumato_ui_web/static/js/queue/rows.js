/** Lists that follow the server: a row is made anew only where its job changed, so that focus and place stay. */

/**
 * @param {HTMLElement} list Its children are rows with `data-id`.
 * @param {any[]} jobs In their order.
 * @param {(job: any) => any[]} said What a row shows; the same again, and the row stays.
 * @param {(job: any) => HTMLElement} make
 */
export function showRows(list, jobs, said, make) {
  const wanted = new Set(jobs.map((job) => job.id));
  const known = new Map();
  for (const row of [...list.children]) {
    if (wanted.has(row.dataset.id)) known.set(row.dataset.id, row);
    else row.remove();
  }
  jobs.forEach((job, index) => {
    const row = current(known.get(job.id), JSON.stringify(said(job)), () => make(job));
    if (list.children[index] !== row) keepingFocus(row, () => list.insertBefore(row, list.children[index] ?? null));
  });
}

function current(row, said, make) {
  if (row?.dataset.said === said) return row;
  const part = row?.contains(document.activeElement) && document.activeElement.dataset.part;
  const fresh = make();
  fresh.dataset.said = said;
  row?.replaceWith(fresh);
  if (part) fresh.querySelector(`[data-part="${part}"]`)?.focus();
  return fresh;
}

function keepingFocus(row, move) {
  const focused = row.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  move();
  focused?.focus({ preventScroll: true });
}
