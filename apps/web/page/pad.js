/** A sheet to write on: strokes in from pointer or keys, ink out to a canvas. */

import { Sheet } from './sheet.js';

const KEY_STEP = 12;
const WIDTH = 4.5;

export class Pad extends Sheet {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onChange Called after every change of the strokes.
   */
  constructor(canvas, onChange) {
    super(canvas);
    this.onChange = onChange;
    /** Strokes of points {x, y, t, pressure}: CSS pixels, milliseconds, 0 to 1. */
    this.strokes = [];
    /** The colour's number of each point of each stroke; null: the ink's own. */
    this.colours = null;
    this.caret = null; // Where the pen of the arrow keys is.
    this.current = null;
    this.pointer = null;
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    canvas.addEventListener('pointerup', (event) => this.#up(event));
    canvas.addEventListener('pointercancel', (event) => this.#up(event));
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('blur', () => this.#hideCaret());
    addEventListener('themechange', () => this.redraw());
  }

  get empty() {
    return !this.strokes.length;
  }

  clear() {
    this.strokes = [];
    this.current = this.pointer = null;
    this.#changed();
  }

  undo() {
    this.strokes.pop();
    this.current = this.pointer = null;
    this.#changed();
  }

  /** Writes strokes of [x, y] as if by hand, as large as the sheet allows. */
  async replay(strokes, { signal } = {}) {
    this.clear();
    const all = strokes.flat();
    const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [wide, high] = [Math.max(...xs) - left || 1, Math.max(...ys) - top || 1];
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min((clientWidth * 0.8) / wide, (clientHeight * 0.7) / high);
    const shift = [(clientWidth - wide * scale) / 2, (clientHeight - high * scale) / 2];
    const pause = Math.min(16, 1200 / all.length);
    for (const stroke of strokes) {
      const drawn = [];
      this.strokes.push(drawn);
      for (const [x, y] of stroke) {
        drawn.push({
          x: (x - left) * scale + shift[0],
          y: (y - top) * scale + shift[1],
          t: performance.now(),
          pressure: 0.5,
        });
        this.#changed();
        await new Promise((done) => setTimeout(done, pause));
        if (signal?.aborted) return;
      }
    }
  }

  /** @param {Int32Array[]|null} colours See `colours`. */
  colour(colours) {
    this.colours = colours;
    this.redraw();
  }

  #down(event) {
    if (event.button !== 0 || this.pointer !== null) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.#hideCaret();
    this.current = [];
    this.strokes.push(this.current);
    this.#take(event);
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    // Between two frames a pen reports many points: all of them are ink.
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length ? points : [event]) this.#take(point);
  }

  #up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = this.current = null;
    this.onChange();
  }

  #take(event) {
    if (!this.current) return;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const last = this.current.at(-1);
    if (last && last.x === x && last.y === y) return;
    const pressure = event.pointerType === 'pen' ? event.pressure : 0.5;
    this.current.push({ x, y, t: event.timeStamp, pressure });
    this.#changed();
  }

  #key(event) {
    const moves = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const command = event.ctrlKey || event.metaKey;
    const undo = event.key === 'Backspace' || (event.key === 'z' && command);
    if (event.key === 'Escape') this.clear();
    else if (undo) this.undo();
    else if (event.key === ' ') this.#togglePen();
    else if (event.key in moves) this.#step(moves[event.key]);
    else return;
    event.preventDefault();
  }

  #step([dx, dy]) {
    const { clientWidth, clientHeight } = this.canvas;
    this.caret ??= { x: clientWidth / 2, y: clientHeight / 3 };
    const within = (value, most) => Math.min(Math.max(value, 4), most - 4);
    this.caret.x = within(this.caret.x + dx * KEY_STEP, clientWidth);
    this.caret.y = within(this.caret.y + dy * KEY_STEP, clientHeight);
    if (this.current && this.pointer === null) this.#type();
    else this.redraw();
  }

  #togglePen() {
    this.#start();
    if (this.current) {
      this.current = null;
      this.onChange();
      this.redraw();
      return;
    }
    this.current = [];
    this.strokes.push(this.current);
    this.#type();
  }

  #start() {
    const { clientWidth, clientHeight } = this.canvas;
    this.caret ??= { x: clientWidth / 2, y: clientHeight / 3 };
  }

  #type() {
    this.current.push({ ...this.caret, t: performance.now(), pressure: 0.5 });
    this.#changed();
  }

  #hideCaret() {
    if (!this.caret) return;
    this.caret = null;
    if (this.pointer === null) this.current = null;
    this.redraw();
  }

  #changed() {
    this.redraw();
    this.onChange();
  }

  paint(context, colour, width, height) {
    paintRules(context, width, height, colour('--rule'));
    const palette = [0, 1, 2, 3, 4, 5].map((i) => colour(`--c${i}`));
    context.lineCap = context.lineJoin = 'round';
    this.strokes.forEach((stroke, number) => {
      const colours = this.colours?.[number];
      const pick = (i) => {
        const chosen = colours?.[Math.min(i, colours.length - 1)] ?? -1;
        return chosen < 0 ? colour('--ink') : palette[chosen % palette.length];
      };
      paintStroke(context, stroke, pick);
    });
    if (this.caret) paintCaret(context, this.caret, !!this.current, colour('--accent'));
  }
}

function paintRules(context, width, height, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (const share of [0.36, 0.68]) {
    const y = Math.round(height * share) + 0.5;
    context.moveTo(18, y);
    context.lineTo(width - 18, y);
  }
  context.stroke();
}

function paintStroke(context, stroke, pick) {
  const first = stroke[0];
  if (stroke.length === 1) {
    context.fillStyle = pick(0);
    context.beginPath();
    context.arc(first.x, first.y, WIDTH * 0.7, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  // One path as long as colour and width stay the same.
  let from = 1;
  while (from < stroke.length) {
    const colour = pick(from);
    const width = widthOf(stroke[from]);
    let to = from;
    const same = (i) => pick(i) === colour && widthOf(stroke[i]) === width;
    while (to + 1 < stroke.length && same(to + 1)) to++;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(stroke[from - 1].x, stroke[from - 1].y);
    for (let i = from; i < to; i++) {
      const [a, b] = [stroke[i], stroke[i + 1]];
      context.quadraticCurveTo(a.x, a.y, (a.x + b.x) / 2, (a.y + b.y) / 2);
    }
    context.lineTo(stroke[to].x, stroke[to].y);
    context.stroke();
    from = to + 1;
  }
}

function widthOf({ pressure }) {
  return WIDTH * (0.5 + Math.round(pressure * 16) / 16);
}

function paintCaret(context, { x, y }, down, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 7, 0, 2 * Math.PI);
  if (down) context.fill();
  else context.stroke();
}
