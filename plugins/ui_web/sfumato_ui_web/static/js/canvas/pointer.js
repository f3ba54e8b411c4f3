/**
 * Mouse, pen and touch over the picture, told apart into painting, moving and zooming.
 *
 * - Mouse: left paints, right erases, middle (or space held) moves; the wheel zooms, with Ctrl it sizes the brush.
 * - Pen: paints, its eraser end erases. While it is near, touches are a palm and do nothing.
 * - Touch: one finger paints, two move and zoom; a second finger soon after the first takes its dab back.
 */

/** @import {Point} from "./brush.js" */

const PALM_REST = 800; // ms after the pen has gone
const SECOND_FINGER = 250; // ms in which a second finger means that the first was none of painting
const LINE_HEIGHT = 16;

/**
 * @typedef {{x: number, y: number, pressure: number}} WindowSample In CSS pixels of the window.
 * @typedef {object} Actions
 * @property {(sample: WindowSample, how: {erase: boolean, straight: boolean}) => void} begin
 * @property {(samples: WindowSample[]) => void} extend
 * @property {() => void} end
 * @property {() => void} cancel
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, at: Point) => void} zoom
 * @property {(factor: number) => void} size
 * @property {(at: Point | null) => void} hover
 * @property {() => void} pen A pen came near.
 * @property {() => boolean} moving Whether space is held: a press moves the picture.
 */

export class PointerInput {
  /**
   * @param {HTMLElement} stage
   * @param {Actions} actions
   */
  constructor(stage, actions) {
    this.stage = stage;
    this.actions = actions;
    /** @type {Map<number, Point>} Touches on the stage. */
    this.touches = new Map();
    /** @type {{id: number, kind: "paint" | "pan", type: string, since: number, at: Point} | null} */
    this.held = null;
    this.penSeen = -Infinity;
    this.control = false;
    this.origin = {x: 0, y: 0};
  }

  /** @param {AbortSignal} signal Ends it. */
  listen(signal) {
    const {stage} = this;
    stage.addEventListener("pointerdown", (event) => this.down(event), {signal});
    stage.addEventListener("pointermove", (event) => this.move(event), {signal});
    stage.addEventListener("pointerup", (event) => this.up(event), {signal});
    stage.addEventListener("pointercancel", (event) => this.lost(event), {signal});
    stage.addEventListener("pointerleave", () => this.held || this.actions.hover(null), {signal});
    stage.addEventListener("wheel", (event) => this.wheel(event), {signal, passive: false});
    stage.addEventListener("contextmenu", (event) => event.preventDefault(), {signal});
    for (const kind of /** @type {const} */ (["keydown", "keyup"])) {
      window.addEventListener(kind, (event) => (this.control = event.ctrlKey || event.metaKey), {signal});
    }
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.measure();
    if (event.pointerType === "pen") this.penNear(event);
    if (event.pointerType === "touch" && this.touchDown(event)) return;
    if (this.held) return;
    this.stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.stage.focus({preventScroll: true});
    const pan = event.button === 1 || this.actions.moving();
    const at = this.place(event);
    const {pointerId: id, pointerType: type, timeStamp: since} = event;
    this.held = {id, kind: pan ? "pan" : "paint", type, since, at};
    if (pan) return;
    const erase = event.button === 2 || event.button === 5;
    this.actions.begin(this.sample(event), {erase, straight: event.shiftKey});
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (event.pointerType === "pen") this.penNear(event);
    if (this.touches.size > 1 && this.touches.has(event.pointerId)) return this.pinch(event);
    if (this.touches.has(event.pointerId)) this.touches.set(event.pointerId, this.place(event));
    if (!this.held) {
      this.measure();
      if (event.pointerType !== "touch") this.actions.hover(this.place(event));
      return;
    }
    if (event.pointerId !== this.held.id) return;
    const at = this.place(event);
    if (this.held.kind === "pan") this.actions.pan(at.x - this.held.at.x, at.y - this.held.at.y);
    else this.actions.extend(this.coalesced(event));
    this.held.at = at;
    this.actions.hover(event.pointerType === "touch" ? null : at);
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (event.pointerType === "pen") this.penSeen = event.timeStamp;
    this.touches.delete(event.pointerId);
    if (this.held?.id !== event.pointerId) return;
    const {kind} = this.held;
    this.held = null;
    if (kind === "paint") this.actions.end();
  }

  /** @param {PointerEvent} event */
  lost(event) {
    this.touches.delete(event.pointerId);
    if (this.held?.id === event.pointerId) this.drop();
  }

  drop() {
    const painted = this.held?.kind === "paint";
    this.held = null;
    if (painted) this.actions.cancel();
  }

  /**
   * @param {PointerEvent} event
   * @returns {boolean} Whether that is all about it.
   */
  touchDown(event) {
    event.preventDefault();
    const resting = event.timeStamp - this.penSeen < PALM_REST || this.held?.type === "pen";
    if (resting) return true;
    this.touches.set(event.pointerId, this.place(event));
    if (this.touches.size === 1) return false;
    this.stage.setPointerCapture(event.pointerId);
    if (this.held?.kind === "paint") {
      if (event.timeStamp - this.held.since < SECOND_FINGER) this.drop();
      else this.actions.end();
    }
    this.held = null;
    return true;
  }

  /** @param {PointerEvent} event */
  penNear(event) {
    this.penSeen = event.timeStamp;
    this.actions.pen();
    this.touches.clear();
    if (this.held?.type === "touch") this.drop();
  }

  /** @param {PointerEvent} event */
  pinch(event) {
    const [first, second] = [...this.touches.keys()];
    const before = this.spread(first, second);
    this.touches.set(event.pointerId, this.place(event));
    if (event.pointerId !== first && event.pointerId !== second) return;
    const after = this.spread(first, second);
    this.actions.pan(after.x - before.x, after.y - before.y);
    if (before.distance > 8) this.actions.zoom(after.distance / before.distance, after);
  }

  /**
   * @param {number} first
   * @param {number} second
   */
  spread(first, second) {
    const one = /** @type {Point} */ (this.touches.get(first));
    const other = /** @type {Point} */ (this.touches.get(second));
    const distance = Math.hypot(other.x - one.x, other.y - one.y);
    return {x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, distance};
  }

  /**
   * A pinch on a touchpad arrives as a wheel with Ctrl although no key is held.
   * @param {WheelEvent} event
   */
  wheel(event) {
    event.preventDefault();
    this.measure();
    const turned = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_HEIGHT : 1);
    if (event.ctrlKey && this.control) this.actions.size(Math.exp(-turned * 0.002));
    else this.actions.zoom(Math.exp(-turned * (event.ctrlKey ? 0.01 : 0.0015)), this.place(event));
  }

  /** Events come in coordinates of the page's window; the stage's place is asked once a gesture. */
  measure() {
    const {left, top} = this.stage.getBoundingClientRect();
    this.origin = {x: left, y: top};
  }

  /**
   * @param {MouseEvent} event
   * @returns {Point}
   */
  place(event) {
    return {x: event.clientX - this.origin.x, y: event.clientY - this.origin.y};
  }

  /**
   * @param {PointerEvent} event
   * @returns {WindowSample}
   */
  sample(event) {
    return {...this.place(event), pressure: event.pointerType === "pen" ? event.pressure : 1};
  }

  /**
   * Where the pointer was since the last event, as finely as the device says.
   * @param {PointerEvent} event
   * @returns {WindowSample[]}
   */
  coalesced(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    return (events.length ? events : [event]).map((one) => this.sample(one));
  }
}
