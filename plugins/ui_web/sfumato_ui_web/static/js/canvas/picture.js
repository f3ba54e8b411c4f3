/** Loads what an `<img>` shows from an address or a Blob; of several loads only the last one counts. */
export class PictureSource {
  /** @param {HTMLImageElement} picture */
  constructor(picture) {
    this.picture = picture;
    this.loads = 0;
    /** @type {string | null} The address made for a Blob. */
    this.made = null;
  }

  /**
   * @param {string | Blob | null} source
   * @returns {Promise<"shown" | "failed" | "none" | "replaced">}
   */
  async load(source) {
    const load = ++this.loads;
    if (this.made) URL.revokeObjectURL(this.made);
    this.made = source instanceof Blob ? URL.createObjectURL(source) : null;
    const address = this.made ?? source;
    if (typeof address !== "string") {
      this.picture.removeAttribute("src");
      return "none";
    }
    this.picture.src = address;
    let shown = true;
    try {
      await this.picture.decode();
    } catch {
      shown = false;
    }
    if (load !== this.loads) return "replaced";
    return shown ? "shown" : "failed";
  }
}
