/** The last seconds of sound as a picture, with what was heard above it. */

import { SAMPLE_RATE } from '../seqcore.js';
import { readable } from './bars.js';
import { Sheet } from './sheet.js';

const FFT = 512;
const HOP = 320; // 20 ms: a column
const BANDS = 64;
const SECONDS = 8;
const COLUMNS = (SECONDS * SAMPLE_RATE) / HOP;
const FLOOR_DB = -85;
const CEILING_DB = -20;
const HEAD = 36; // CSS pixels above the picture, for the words
const FOOT = 20; // and below it, for the seconds

export class Spectrogram extends Sheet {
  constructor(canvas) {
    super(canvas);
    // One pixel a column and band, written in a circle.
    this.picture = new OffscreenCanvas(COLUMNS, BANDS);
    this.pixels = this.picture.getContext('2d', { willReadFrequently: true });
    this.bands = melBands();
    addEventListener('themechange', () => this.#retint());
    this.clear();
  }

  clear() {
    this.columns = 0;
    this.kept = new Float32Array(0);
    this.values = [];
    this.words = [];
    this.pixels.clearRect(0, 0, COLUMNS, BANDS);
    this.redraw();
  }

  /** @param {Float32Array} samples Mono PCM at 16 kHz. */
  push(samples) {
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    let at = 0;
    for (; at + FFT <= all.length; at += HOP) this.#column(all.subarray(at, at + FFT));
    this.kept = all.slice(at);
    this.redraw();
  }

  /** @param {{label: string, seconds: number}} word */
  mark(word) {
    this.words.push(word);
    this.redraw();
  }

  #column(frame) {
    const power = powerSpectrum(frame);
    const column = this.bands.map(([first, last]) => {
      let sum = 0;
      for (let i = first; i <= last; i++) sum += power[i];
      const db = 10 * Math.log10(sum / (last - first + 1) + 1e-12);
      return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
    });
    this.values[this.columns % COLUMNS] = column;
    this.#tint(this.columns % COLUMNS);
    this.columns++;
  }

  #tint(place) {
    const image = this.pixels.createImageData(1, BANDS);
    const colours = palette(document.documentElement.dataset.theme === 'dark');
    this.values[place].forEach((value, band) => {
      const colour = colours[Math.round(value * 255)];
      image.data.set(colour, 4 * (BANDS - 1 - band));
    });
    this.pixels.putImageData(image, place, 0);
  }

  #retint() {
    this.values.forEach((_, place) => this.#tint(place));
    this.redraw();
  }

  /** A mark and a number a second. */
  #scale(context, first, colour) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    context.font = `12px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textBaseline = 'middle';
    for (let second = Math.ceil(first); second < first + SECONDS; second++) {
      const x = ((second - first) / SECONDS) * width;
      context.fillStyle = colour('--rule');
      context.fillRect(x, height - FOOT, 1, 5);
      context.fillStyle = colour('--soft');
      if (x < width - 30) context.fillText(`${second} s`, x + 4, height - FOOT / 2);
    }
  }

  paint(context, colour, width, height) {
    const shown = Math.min(this.columns, COLUMNS);
    const scale = width / COLUMNS;
    const split = this.columns > COLUMNS ? this.columns % COLUMNS : 0;
    context.imageSmoothingEnabled = true;
    // The newest column stands at the right as soon as there are enough of them.
    const [top, tall] = [HEAD, height - HEAD - FOOT];
    const old = shown - split;
    const draw = (from, count, to) =>
      count > 0 &&
      context.drawImage(
        this.picture, from, 0, count, BANDS, to * scale, top, count * scale, tall,
      );
    draw(split, old, 0);
    draw(0, split, old);
    const first = ((this.columns - shown) * HOP) / SAMPLE_RATE;
    if (this.columns) this.#scale(context, first, colour);
    this.words = this.words.filter(({ seconds }) => seconds >= first);
    context.font = `600 14px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textBaseline = 'middle';
    let taken = 0; // Where the last word ends: a second one does not cover it.
    for (const { label, seconds } of this.words) {
      const x = ((seconds - first) / SECONDS) * width;
      const text = readable(label);
      const wide = context.measureText(text).width + 16;
      const left = Math.max(2, Math.min(x - wide, width - wide - 2));
      context.fillStyle = colour('--accent');
      context.fillRect(x - 1, HEAD - 6, 2, height - HEAD - FOOT + 6);
      if (left < taken) continue;
      taken = left + wide + 2;
      context.beginPath();
      context.roundRect(left, 6, wide, 25, 8);
      context.fill();
      context.fillStyle = colour('--on-accent');
      context.fillText(text, left + 8, 19);
    }
  }
}

/** First and last FFT bin of each band: equal widths in mel, 60 Hz to 8 kHz. */
function melBands() {
  const mel = (hertz) => 1127 * Math.log(1 + hertz / 700);
  const hertz = (value) => 700 * (Math.exp(value / 1127) - 1);
  const [low, high] = [mel(60), mel(SAMPLE_RATE / 2)];
  const edge = (i) =>
    (hertz(low + ((high - low) * i) / BANDS) * FFT) / SAMPLE_RATE;
  return Array.from({ length: BANDS }, (_, i) => {
    const first = Math.round(edge(i));
    return [first, Math.min(FFT / 2, Math.max(first, Math.round(edge(i + 1)) - 1))];
  });
}

const WINDOW = Float64Array.from(
  { length: FFT },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FFT),
);

/** Power of FFT / 2 + 1 bins of a frame under a Hann window; full scale is 1. */
function powerSpectrum(frame) {
  const real = Float64Array.from(frame, (value, i) => value * WINDOW[i]);
  const imaginary = new Float64Array(FFT);
  fft(real, imaginary);
  const power = new Float64Array(FFT / 2 + 1);
  for (let i = 0; i < power.length; i++) {
    power[i] = (real[i] ** 2 + imaginary[i] ** 2) / (FFT / 4) ** 2;
  }
  return power;
}

/** In place, radix 2. */
function fft(real, imaginary) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const angle = (-2 * Math.PI * k) / size;
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      for (let i = k; i < n; i += size) {
        const j = i + size / 2;
        const re = real[j] * c - imaginary[j] * s;
        const im = real[j] * s + imaginary[j] * c;
        real[j] = real[i] - re;
        imaginary[j] = imaginary[i] - im;
        real[i] += re;
        imaginary[i] += im;
      }
    }
  }
}

const STOPS = {
  light: ['#f6f4ef', '#dfe3f8', '#8f9fe8', '#4a5fd0', '#5a2a8a', '#2a1038'],
  dark: ['#101319', '#1c2340', '#34418f', '#6d6fe0', '#e08fc0', '#ffe9c8'],
};
const palettes = new Map();

/** 256 colours from the page's ground to loud. */
function palette(dark) {
  if (!palettes.has(dark)) {
    const stops = STOPS[dark ? 'dark' : 'light'].map((hex) =>
      [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)),
    );
    const colours = Array.from({ length: 256 }, (_, i) => {
      const place = (i / 255) * (stops.length - 1);
      const low = Math.min(Math.floor(place), stops.length - 2);
      const mixed = stops[low].map((v, k) => v + (place - low) * (stops[low + 1][k] - v));
      return [...mixed.map(Math.round), 255];
    });
    palettes.set(dark, colours);
  }
  return palettes.get(dark);
}
