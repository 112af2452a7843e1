/** Pen strokes to a symbol or to text: files of `apps.handwriting`. */

import { Classifier, Recogniser, SERVING } from './classifier.js';
import { align, beamSearch } from './ctc.js';
import { SeqcoreError } from './errors.js';
import { filledUp, points, stepsOfPoints } from './ink.js';

const SCORES = 'scores';

/** The recogniser for a file of `apps.handwriting`; `mode` says which it is. */
export function handwriting(graph, metadata, file) {
  const Kind = metadata.settings?.model === 'classify' ? SymbolReader : Transcriber;
  return new Kind(graph, metadata, file);
}

/** One symbol an ink. */
class SymbolReader extends Classifier {
  mode = 'symbol';

  /**
   * @param {(number[]|{x: number, y: number})[][]} strokes See `points`.
   * @returns {Promise<{candidates: {label: string, score: number}[],
   *     scores: Float32Array, milliseconds: number}>} Scores are probabilities.
   */
  async recognise(strokes) {
    const ink = filledUp(points(strokes), this.inputLength);
    const { scores, milliseconds } = await this.classify(ink, [1, ink.length / 4, 4]);
    return { candidates: this.rank(scores), scores, milliseconds };
  }
}

/** A text an ink. */
class Transcriber extends Recogniser {
  mode = 'word';

  constructor(graph, metadata, file) {
    super(graph, metadata, file);
    const output = graph.signatures[SERVING]?.outputs.find((o) => o.name === SCORES);
    if (output?.shape.at(-1) !== this.labels.length + 1) {
      throw new SeqcoreError(`${file.name} is damaged: its scores do not fit its labels.`);
    }
    if (!graph.canRun(SERVING)) {
      throw new SeqcoreError(
        `${file.name} returns transcripts of any length, which browsers cannot ` +
          'receive: export it again with --length.',
      );
    }
  }

  /**
   * @param {(number[]|{x: number, y: number})[][]} strokes See `points`.
   * @param {{top?: number}} [options] Transcripts wanted.
   * @returns {Promise<{candidates: {label: string, score: number}[],
   *     characters: Int32Array[], milliseconds: number}>} Scores are logarithms of
   *     probabilities. `characters` has, for each stroke, the place in the best
   *     transcript of the character that each point belongs to.
   */
  async recognise(strokes, { top = 5 } = {}) {
    const ink = points(strokes);
    const from = performance.now();
    const filled = filledUp(ink, this.inputLength);
    const { found } = await this.serve(filled, [1, filled.length / 4, 4]);
    const scores = this.spoken(found[SCORES]);
    const candidates = beamSearch(scores, this.labels, { top });
    const milliseconds = performance.now() - from;
    const characters = this.assign(strokes, ink, scores, candidates[0]?.label ?? '');
    return { candidates, characters, milliseconds };
  }

  /** The scores without the certain blanks that only fill up the output. */
  spoken(scores) {
    const width = this.labels.length + 1;
    let end = scores.length;
    while (end > width && scores[end - 1] === 0 && scores[end - 2] <= -1e3) end -= width;
    return scores.subarray(0, end);
  }

  assign(strokes, ink, scores, text) {
    const index = new Map(this.labels.map((label, i) => [label, i]));
    const spans = align(scores, [...text].map((c) => index.get(c)), this.labels.length);
    const stride = this.settings.stride ?? 1;
    const steps = stepsOfPoints(ink, this.settings.resample ?? 0);
    const lifts = penLifts(ink, steps);
    // A character reaches half way to the next, or to where the pen was lifted there.
    const ends = spans.map(({ last }, i) => {
      if (i + 1 === spans.length) return Infinity;
      const [from, to] = [last * stride, (spans[i + 1].first + 1) * stride];
      const middle = (from + to) / 2;
      const between = lifts.filter((lift) => lift > from && lift < to);
      between.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
      return between[0] ?? middle;
    });
    let at = 0;
    return strokes.map((stroke) =>
      Int32Array.from(stroke, () => {
        const step = steps[at++];
        return ends.findIndex((end) => step < end);
      }),
    );
  }
}

/** Steps, not rounded, in the middle of each move of the lifted pen. */
function penLifts(ink, steps) {
  const found = [];
  for (let i = 1; i < steps.length; i++) {
    if (ink[4 * i - 1] > 0.5) found.push((steps[i - 1] + steps[i]) / 2);
  }
  return found;
}
