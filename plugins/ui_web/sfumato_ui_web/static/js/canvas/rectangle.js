/**
 * Rectangles of whole pixels: `right` and `bottom` are the first column and row outside.
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rectangle
 */

/**
 * The smallest rectangle around both; either may be null, for nothing.
 * @param {Rectangle | null} one
 * @param {Rectangle | null} other
 * @returns {Rectangle | null}
 */
export function union(one, other) {
  if (!one || !other) return one ?? other;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}

/**
 * What both have in common; null for nothing.
 * @param {Rectangle} one
 * @param {Rectangle} other
 * @returns {Rectangle | null}
 */
export function intersection(one, other) {
  const common = {
    left: Math.max(one.left, other.left),
    top: Math.max(one.top, other.top),
    right: Math.min(one.right, other.right),
    bottom: Math.min(one.bottom, other.bottom),
  };
  return common.left < common.right && common.top < common.bottom ? common : null;
}

/**
 * Add one to a list, together with the last one where both fill what is around them: a slow stroke then makes
 * one rectangle, a fast one several that are smaller in all.
 * @param {Rectangle[]} list
 * @param {Rectangle} added
 */
export function addRectangle(list, added) {
  const last = list[list.length - 1];
  const both = last && /** @type {Rectangle} */ (union(last, added));
  if (both && size(both) <= size(last) + size(added)) list[list.length - 1] = both;
  else list.push(added);
}

/** @param {Rectangle} rectangle */
function size({ left, top, right, bottom }) {
  return (right - left) * (bottom - top);
}
