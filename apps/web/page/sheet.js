/** A canvas as sharp as the screen, painted at most once a frame. */
export class Sheet {
  #waiting = false;
  #ratio = 1;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  /**
   * Paints anew on the cleared canvas. For the class that extends this one.
   *
   * @param {CanvasRenderingContext2D} _context In CSS pixels.
   * @param {(name: string) => string} _colour The value of a property of the theme.
   * @param {number} _width CSS pixels.
   * @param {number} _height CSS pixels.
   */
  paint(_context, _colour, _width, _height) {}

  /** Paints before the next frame, however often it is called. */
  redraw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#paint();
    });
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.#ratio = ratio;
    this.#paint();
  }

  #paint() {
    const { clientWidth, clientHeight } = this.canvas;
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const context = this.canvas.getContext('2d');
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    this.paint(context, colour, clientWidth, clientHeight);
  }
}
