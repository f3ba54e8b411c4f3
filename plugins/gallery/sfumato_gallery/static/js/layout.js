/**
 * Where tiles lie: pure arithmetic, without the document.
 *
 * @typedef {{left: number, top: number, width: number, height: number}} Box
 * @typedef {{height: number, columns: number, box: (index: number) => Box, rowOf: (index: number) => number,
 *   between: (top: number, bottom: number) => [number, number],
 *   beside: (index: number, rows: number) => number}} Layout
 */

export const GAP = 8;

/**
 * Squares in columns that fill the width.
 * @param {number} total
 * @param {number} width  of the container in pixels
 * @param {number} size  wished length of a tile's side
 * @param {number} [gap]
 * @returns {Layout}
 */
export function squares(total, width, size, gap = GAP) {
  const columns = Math.max(1, Math.round((width + gap) / (size + gap)));
  const side = Math.max(1, (width - gap * (columns - 1)) / columns);
  const pitch = side + gap;
  const rows = Math.ceil(total / columns);
  return {
    columns,
    height: rows ? rows * pitch - gap : 0,
    rowOf: (index) => Math.floor(index / columns),
    box: (index) => ({
      left: (index % columns) * pitch, top: Math.floor(index / columns) * pitch, width: side, height: side,
    }),
    between: (top, bottom) => [
      clamp(Math.floor(top / pitch) * columns, total), clamp((Math.floor(bottom / pitch) + 1) * columns, total),
    ],
    beside: (index, by) => {
      const target = index + by * columns;
      if (target < 0) return index;
      return target < total ? target : Math.floor(index / columns) < rows - 1 ? total - 1 : index;
    },
  };
}

/**
 * Whole pictures in rows of one height each that fill the width; the last row keeps the wished height.
 * @param {number[]} ratios  width by height of each picture, in hundredths
 * @param {number} width
 * @param {number} size  wished height of a row
 * @param {number} [gap]
 * @returns {Layout}
 */
export function justified(ratios, width, size, gap = GAP) {
  const total = ratios.length;
  /** @type {number[]} */ const starts = [];
  /** @type {number[]} */ const tops = [];
  /** @type {number[]} */ const heights = [];
  const lefts = new Float64Array(total), widths = new Float64Array(total), rowOf = new Uint32Array(total);
  let start = 0, top = 0;
  while (start < total) {
    let end = start, sum = 0;
    while (end < total && (end === start || sum * size + gap * (end - start) < width)) sum += ratio(ratios[end++]);
    const full = (width - gap * (end - start - 1)) / sum;
    const height = full > size * 1.4 && end === total ? size : full;
    for (let index = start, left = 0; index < end; index += 1) {
      lefts[index] = left;
      widths[index] = ratio(ratios[index]) * height;
      rowOf[index] = starts.length;
      left += widths[index] + gap;
    }
    starts.push(start);
    tops.push(top);
    heights.push(height);
    top += height + gap;
    start = end;
  }
  const rowAt = (/** @type {number} */ y) => Math.max(0, upperBound(tops, y) - 1);
  const endOf = (/** @type {number} */ row) => starts[row + 1] ?? total;
  return {
    columns: total ? Math.max(1, Math.round(total / starts.length)) : 1,
    height: Math.max(0, top - gap),
    rowOf: (index) => rowOf[index],
    box: (index) => ({
      left: lefts[index], top: tops[rowOf[index]], width: widths[index], height: heights[rowOf[index]],
    }),
    between: (above, below) => (total ? [starts[rowAt(above)], endOf(rowAt(below))] : [0, 0]),
    beside: (index, by) => {
      const row = rowOf[index] + by;
      if (row < 0 || row >= starts.length) return index;
      const middle = lefts[index] + widths[index] / 2;
      let best = starts[row];
      for (let other = starts[row]; other < endOf(row); other += 1) if (lefts[other] <= middle) best = other;
      return best;
    },
  };
}

/** Very wide and very high pictures are cut rather than given a row that nobody can see. */
function ratio(/** @type {number} */ hundredths) {
  return Math.min(4, Math.max(0.4, (hundredths || 100) / 100));
}

function clamp(/** @type {number} */ index, /** @type {number} */ total) {
  return Math.min(total, Math.max(0, index));
}

/** How many of the ascending values are not above one. */
function upperBound(/** @type {number[]} */ values, /** @type {number} */ value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
