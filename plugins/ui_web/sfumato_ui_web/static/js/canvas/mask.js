/** @import {Rectangle} from "./rectangle.js" */

/**
 * A grey for each pixel of a picture: 0 stays as it is, 255 is painted anew.
 *
 * One byte a pixel in plain memory: no picture has to be read back from the graphics card for undo or
 * export, and every browser paints the same pixels.
 */
export class Mask {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.bytes = new Uint8Array(width * height);
  }

  /** @returns {Rectangle} */
  get bounds() {
    return {left: 0, top: 0, right: this.width, bottom: this.height};
  }

  /** @returns {boolean} Whether nothing is to be painted anew. */
  isEmpty() {
    const bytes = this.bytes;
    const whole = bytes.length >> 2;
    const words = new Uint32Array(bytes.buffer, 0, whole);
    for (let i = 0; i < whole; i++) if (words[i]) return false;
    for (let i = whole << 2; i < bytes.length; i++) if (bytes[i]) return false;
    return true;
  }

  /** @param {number} value Of every pixel, 0..255. */
  fill(value) {
    this.bytes.fill(value);
  }

  invert() {
    const bytes = this.bytes;
    for (let i = 0; i < bytes.length; i++) bytes[i] = 255 - bytes[i];
  }

  /** @returns {Promise<Blob>} An opaque PNG in grey, white where it is painted anew. */
  async toBlob() {
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = new ImageData(this.width, this.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = (0xff000000 | (this.bytes[i] * 0x010101)) >>> 0;
    context.putImageData(image, 0, 0);
    return canvas.convertToBlob({type: "image/png"});
  }

  /**
   * Take over a picture's brightness, brought to the mask's size. What is transparent counts as black.
   * @param {Blob} blob
   */
  async read(blob) {
    const picture = await createImageBitmap(blob);
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
      canvas.getContext("2d", {willReadFrequently: true})
    );
    context.fillRect(0, 0, this.width, this.height);
    context.drawImage(picture, 0, 0, this.width, this.height);
    picture.close();
    const data = context.getImageData(0, 0, this.width, this.height).data;
    for (let i = 0, from = 0; i < this.bytes.length; i++, from += 4) {
      this.bytes[i] = Math.round(0.299 * data[from] + 0.587 * data[from + 1] + 0.114 * data[from + 2]);
    }
  }
}
