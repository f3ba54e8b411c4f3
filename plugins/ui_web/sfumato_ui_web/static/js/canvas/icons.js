/** Icons drawn with strokes in a square of 24 by 24, as everywhere in the studio. */

import { icon } from "../dom.js";

export const ICONS = Object.freeze({
  brush: "M20 4c-5 2-9 6-11.500 10M14.500 8.500l2 2M8.500 14c-2.500 0-4 1.500-4 4 0 1.200-.8 2-1.500 2 3 1 8.500 .5 8.500-3.500 0-1.500-1.500-2.500-3-2.500z",
  eraser: "M9 20h11M4.500 15.500l9-10.500a1.500 1.500 0 0 1 2.200-.1l3.700 3.700a1.500 1.500 0 0 1 0 2.100L11 20H8.500l-4-3.200a1 1 0 0 1 0-1.300zM9.500 9.700l5.800 5.800",
  undo: "M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  invert: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18M12 8h7M12 12h9M12 16h7",
  fill: "M4 4h16v16H4zM4 12l8-8M4 20L20 4M12 20l8-8",
  clear: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  zoomIn: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16 16l5 5M8 11h6M11 8v6",
  zoomOut: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16 16l5 5M8 11h6",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  actual: "M6 8l2-1v10M16 8l2-1v10M12 10v.01M12 14v.01",
  pressure: "M12 3v9M8.500 8.500L12 12l3.500-3.500M4 19c4-4 12-4 16 0",
  swap: "M4 8h14M14 4l4 4-4 4M20 16H6M10 12l-4 4 4 4",
  beside: "M4 5h7v14H4zM13 5h7v14h-7z",
  divided: "M4 5h16v14H4zM12 3v18",
});

/**
 * A button that shows an icon and is called by its label.
 * @param {string} path
 * @param {string} label
 * @param {() => void} onPress
 * @returns {HTMLButtonElement}
 */
export function iconButton(path, label, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon-button";
  button.setAttribute("aria-label", label);
  button.title = label;
  button.append(icon(path));
  button.addEventListener("click", onPress);
  return button;
}
