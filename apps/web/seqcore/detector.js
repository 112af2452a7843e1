/**
 * From the scores of every chunk to detections: the rule of `apps/speech/detector.py`,
 * whose numbers a file carries in its metadata.
 */

import { SAMPLE_RATE } from './audio.js';
import { SeqcoreError } from './errors.js';

/** Share of the threshold below which a label must fall to be detected again. */
const REARM = 0.5;
const NUMBERS = ['chunk', 'smoothing_ms', 'threshold', 'refractory_ms'];

/** The rule in a file's metadata; a SeqcoreError where it is missing or damaged. */
export function ruleOf(metadata, name) {
  const rule = metadata.detector;
  const complete =
    rule && NUMBERS.every((key) => Number.isFinite(rule[key])) && Array.isArray(rule.ignore);
  if (!complete || rule.chunk < 1) {
    throw new SeqcoreError(`${name} streams, but says not how a word is detected.`);
  }
  return rule;
}

export class Detector {
  #wanted;
  #count;
  #refractory;
  #last = [];
  #chunk = 0;
  #next = 0;
  #armed;

  constructor(rule, labels) {
    this.rule = rule;
    this.labels = labels;
    const chunks = (milliseconds) =>
      roundHalfEven((milliseconds * SAMPLE_RATE) / 1000 / rule.chunk);
    this.#wanted = labels.map((label) => !rule.ignore.includes(label));
    this.#armed = [...this.#wanted];
    this.#count = Math.max(1, chunks(rule.smoothing_ms));
    this.#refractory = chunks(rule.refractory_ms);
  }

  /**
   * @param {Float32Array} scores Of the next chunk, in the order of the labels.
   * @returns {{label: string, score: number, seconds: number}|null}
   */
  step(scores) {
    this.#last = [...this.#last, scores].slice(-this.#count);
    this.#chunk++;
    let best = -1;
    let score = -1;
    this.labels.forEach((_, i) => {
      const smoothed = this.#wanted[i]
        ? this.#last.reduce((sum, row) => sum + row[i], 0) / this.#count
        : 0;
      if (smoothed < REARM * this.rule.threshold) this.#armed[i] = true;
      if (smoothed > score) [best, score] = [i, smoothed];
    });
    const free = this.#chunk > this.#next && this.#armed[best];
    if (!free || score < this.rule.threshold) return null;
    this.#next = this.#chunk - 1 + this.#refractory;
    this.#armed[best] = false;
    const seconds = (this.#chunk * this.rule.chunk) / SAMPLE_RATE;
    return { label: this.labels[best], score, seconds };
  }
}

/** As Python rounds: a half goes to the even neighbour. */
function roundHalfEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}
