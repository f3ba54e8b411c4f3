/** @import {Mask} from "./mask.js" */
import { forgetMask, keepMask, keptMask } from "./store.js";

const REST = 400; // ms without a change after which the mask is kept

/** Keeps one mask in the browser while it is painted, and brings it back. */
export class MaskKeeper {
  constructor() {
    this.timer = 0;
    /** @type {(() => Promise<void>) | null} */
    this.waiting = null;
  }

  /**
   * The mask changed: keep it when it has rested.
   * @param {string | null} name Without one nothing is kept.
   * @param {Mask} mask
   */
  changed(name, mask) {
    clearTimeout(this.timer);
    this.waiting = name ? () => keep(name, mask) : null;
    if (name) this.timer = window.setTimeout(() => this.now(), REST);
  }

  /** Keep what waits, at once. */
  async now() {
    clearTimeout(this.timer);
    const work = this.waiting;
    this.waiting = null;
    await work?.();
  }

  /**
   * @param {string | null} name
   * @param {Mask} mask Takes over what was kept for a picture of its size.
   */
  async restore(name, mask) {
    const kept = name ? await keptMask(name) : undefined;
    if (kept?.width === mask.width && kept.height === mask.height) await mask.read(kept.mask);
  }
}

/**
 * @param {string} name
 * @param {Mask} mask
 */
async function keep(name, mask) {
  if (mask.isEmpty()) return forgetMask(name);
  const {width, height} = mask;
  await keepMask(name, {mask: await mask.toBlob(), width, height, saved: Date.now()});
}
