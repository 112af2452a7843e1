/** Pen strokes as the models take them, and where their steps lie on the paper. */

import { SeqcoreError } from './errors.js';

const MOST_POINTS = 20_000;

/**
 * @param {(number[]|{x: number, y: number})[][]} strokes In the order they were
 *     written; points are [x, y] or {x, y}, y growing downwards, in any one unit.
 * @returns {Float32Array} [points, 4]: x and y from the first point, time (0: no
 *     model uses it), and 1 where the pen leaves the paper.
 * @throws {SeqcoreError} Fewer than two points, too many, or one that is no number.
 */
export function points(strokes) {
  const drawn = strokes.filter((stroke) => stroke.length);
  const count = drawn.reduce((sum, stroke) => sum + stroke.length, 0);
  if (count < 2) throw new SeqcoreError('There is nothing to read: draw something.');
  if (count > MOST_POINTS) {
    throw new SeqcoreError(`The ink has ${count} points: at most ${MOST_POINTS} fit.`);
  }
  const found = new Float32Array(count * 4);
  const [left, top] = xy(drawn[0][0]);
  let at = 0;
  for (const stroke of drawn) {
    for (const point of stroke) {
      const [x, y] = xy(point);
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        throw new SeqcoreError(`A point of the ink is (${x}, ${y}), which no pen writes.`);
      }
      found[at] = x - left;
      found[at + 1] = y - top;
      at += 4;
    }
    found[at - 1] = 1;
  }
  return found;
}

/**
 * The ink for a file that takes exactly `length` points: filled up with points whose
 * pen is -1, which the models skip.
 *
 * @param {Float32Array} ink What `points` returned.
 * @param {number} length Not positive: any number, and nothing is filled up.
 * @throws {SeqcoreError} The ink has more.
 */
export function filledUp(ink, length) {
  if (length <= 0) return ink;
  if (ink.length > 4 * length) {
    throw new SeqcoreError(
      `The ink has ${ink.length / 4} points: this file takes ${length} at most.`,
    );
  }
  const found = new Float32Array(4 * length);
  found.set(ink);
  for (let i = ink.length + 3; i < found.length; i += 4) found[i] = -1;
  return found;
}

function xy(point) {
  return Array.isArray(point) ? point : [point.x, point.y];
}

/**
 * The step of a transcriber that each point belongs to: the path is cut into steps of
 * `resample` times the spread of the writing, and a move in the air is one step (see
 * `PenFeatures`).
 *
 * @param {Float32Array} ink What `points` returned.
 * @param {number} resample The model's setting; 0: a step a point.
 * @returns {Float64Array} One step number a point, not rounded.
 */
export function stepsOfPoints(ink, resample) {
  const count = ink.length / 4;
  const steps = new Float64Array(count);
  if (!resample) return steps.map((_, index) => index);
  const drawn = new Float64Array(count);
  let total = 1e-6;
  let mean = 0;
  for (let i = 1; i < count; i++) {
    if (ink[4 * i - 1] > 0.5) continue; // The pen was up.
    drawn[i] = Math.hypot(ink[4 * i] - ink[4 * i - 4], ink[4 * i + 1] - ink[4 * i - 3]);
    total += drawn[i];
    mean += (drawn[i] * (ink[4 * i + 1] + ink[4 * i - 3])) / 2;
  }
  mean /= total;
  let square = 0;
  for (let i = 1; i < count; i++) {
    const offset = (ink[4 * i + 1] + ink[4 * i - 3]) / 2 - mean;
    const rise = ink[4 * i + 1] - ink[4 * i - 3];
    square += drawn[i] * (offset * offset + (rise * rise) / 12);
  }
  const spread = Math.sqrt(square / total + 1e-12);
  const unit = Math.max(spread, total / count / (4 * resample), 1e-6);
  for (let i = 1; i < count; i++) {
    const lifted = ink[4 * i - 1] > 0.5;
    steps[i] = steps[i - 1] + (lifted ? 1 : drawn[i] / unit / resample);
  }
  return steps;
}
