/** Looking closely at one picture: wheel, pinch, double click, drag. */

const MOST = 12;

export class Zoom {
  #scale = 1;
  #x = 0;
  #y = 0;
  /** @type {Map<number, {x: number, y: number}>} */ #pointers = new Map();
  #moved = false;

  /** @param {HTMLElement} stage @param {HTMLElement} picture  fills the stage at scale 1 */
  constructor(stage, picture) {
    this.stage = stage;
    this.picture = picture;
    stage.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.#onDouble(event));
    stage.addEventListener("pointerdown", (event) => this.#onDown(event));
    stage.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.#onUp(event));
  }

  get isClose() {
    return this.#scale > 1.01;
  }

  /** Whether the last press was a drag rather than a click. */
  get moved() {
    return this.#moved;
  }

  reset() {
    this.#set(1, 0, 0);
  }

  /** Closer or farther around a place. @param {number} factor @param {number} [x] @param {number} [y] */
  by(factor, x, y) {
    const box = this.stage.getBoundingClientRect();
    const cx = (x ?? box.left + box.width / 2) - box.left - box.width / 2;
    const cy = (y ?? box.top + box.height / 2) - box.top - box.height / 2;
    const scale = Math.min(MOST, Math.max(1, this.#scale * factor));
    const change = scale / this.#scale;
    this.#set(scale, cx - (cx - this.#x) * change, cy - (cy - this.#y) * change);
  }

  #set(/** @type {number} */ scale, /** @type {number} */ x, /** @type {number} */ y) {
    const { clientWidth, clientHeight } = this.stage;
    const [roomX, roomY] = [(clientWidth * (scale - 1)) / 2, (clientHeight * (scale - 1)) / 2];
    this.#scale = scale;
    this.#x = Math.min(roomX, Math.max(-roomX, x));
    this.#y = Math.min(roomY, Math.max(-roomY, y));
    this.picture.style.transform = scale === 1 ? "" : `translate(${this.#x}px, ${this.#y}px) scale(${scale})`;
    this.stage.classList.toggle("close", this.isClose);
  }

  #onWheel(/** @type {WheelEvent} */ event) {
    event.preventDefault();
    this.by(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX, event.clientY);
  }

  #onDouble(/** @type {MouseEvent} */ event) {
    if (this.isClose) this.reset();
    else this.by(3, event.clientX, event.clientY);
  }

  #onDown(/** @type {PointerEvent} */ event) {
    if (/** @type {Element} */ (event.target).closest("button, a")) return;
    this.#moved = false;
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.isClose || this.#pointers.size > 1) this.stage.setPointerCapture(event.pointerId);
  }

  #onMove(/** @type {PointerEvent} */ event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (Math.hypot(now.x - before.x, now.y - before.y) > 2) this.#moved = true;
    if (other) {
      const change = distance(now, other) / Math.max(1, distance(before, other));
      this.by(change, (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (this.isClose) {
      this.#set(this.#scale, this.#x + now.x - before.x, this.#y + now.y - before.y);
    } else return;
    this.#pointers.set(event.pointerId, now);
  }

  #onUp(/** @type {PointerEvent} */ event) {
    this.#pointers.delete(event.pointerId);
  }
}

/** @param {{x: number, y: number}} one @param {{x: number, y: number}} other */
function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
