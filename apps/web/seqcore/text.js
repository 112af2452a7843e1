/** Texts to classes: files of `apps.text`. */

import { Classifier } from './classifier.js';
import { SeqcoreError } from './errors.js';

const MOST_WORDS = 200;
const LONGEST = 1_000_000;
// What Python's str calls white space; JavaScript's \s has U+FEFF too, and lacks
// the separators of ASCII.
const SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a' +
  '\\u2028\\u2029\\u202f\\u205f\\u3000';
const WORD = new RegExp(`[^${SPACE}]+`, 'gu');

/** The recogniser for a file of `apps.text`. */
export function text(graph, metadata, file) {
  return new TextClassifier(graph, metadata, file);
}

class TextClassifier extends Classifier {
  /**
   * @param {string} text
   * @returns {Promise<{candidates: {label: string, score: number}[],
   *     scores: Float32Array, milliseconds: number}>} Every label, best first, and
   *     the scores in the order of `labels`.
   */
  async recognise(text) {
    const { scores, milliseconds } = await this.#scores(text);
    return { candidates: this.rank(scores), scores, milliseconds };
  }

  /**
   * Which words carried the decision: how much the score of the chosen label falls
   * when a word is left out (what `predict --explain` prints).
   *
   * @param {string} text
   * @param {{scores: Float32Array}} answer What `recognise` gave for the text.
   * @param {{signal?: AbortSignal}} [options] Gives up between two words.
   * @returns {Promise<{word: string, start: number, effect: number}[]>} In the order
   *     of the text; `start` is the word's place in it.
   */
  async explain(text, answer, { signal } = {}) {
    const { scores } = answer;
    const chosen = scores.indexOf(Math.max(...scores));
    const found = [];
    for (const match of [...text.matchAll(WORD)].slice(0, MOST_WORDS)) {
      signal?.throwIfAborted();
      const word = match[0];
      const rest = text.slice(0, match.index) + text.slice(match.index + word.length);
      const without = await this.#scores(rest);
      const effect = scores[chosen] - without.scores[chosen];
      found.push({ word, start: match.index, effect });
    }
    return found;
  }

  #scores(text) {
    const data = encode(text);
    const length = this.inputLength;
    if (length > 0 && data.length > length) {
      throw new SeqcoreError(
        `The text has ${data.length} bytes: this file takes ${length} at most.`,
      );
    }
    // Zeros are padding.
    const filled = length > 0 ? new Int32Array(length) : data;
    filled.set(data);
    return this.classify(filled, [1, filled.length]);
  }
}

/** UTF-8 as the model takes it: int32, at least one value. */
export function encode(text) {
  const bytes = new TextEncoder().encode(text.slice(0, LONGEST) || ' ');
  return Int32Array.from(bytes);
}
