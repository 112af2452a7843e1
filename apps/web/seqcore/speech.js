/** Sound to keywords: files of `apps.speech`. */

import { loudestStretch, SAMPLE_RATE } from './audio.js';
import { Classifier, STREAM } from './classifier.js';
import { Detector, ruleOf } from './detector.js';
import { SeqcoreError } from './errors.js';

/** How whole-clip models listen: a look at the last second five times a second. */
const SLIDING = {
  chunk: SAMPLE_RATE / 5,
  smoothing_ms: 400,
  threshold: 0.7,
  refractory_ms: 1000,
  ignore: ['unknown', 'silence'],
};
const CLIP_SAMPLES = SAMPLE_RATE;

/** The recogniser for a file of `apps.speech`. */
export function speech(graph, metadata, file) {
  return new KeywordSpotter(graph, metadata, file);
}

class KeywordSpotter extends Classifier {
  constructor(graph, metadata, file) {
    super(graph, metadata, file);
    this.length = this.inputLength > 0 ? this.inputLength : CLIP_SAMPLES;
    /** Whether the file itself streams, with its state handed in and out. */
    this.streams = graph.canRun(STREAM);
    this.rule = this.streams ? ruleOf(metadata, file.name) : SLIDING;
    if (!this.streams) return;
    const taken = streamInputs(graph).sound?.shape.at(-1);
    if (taken !== this.rule.chunk) {
      throw new SeqcoreError(
        `${file.name} is damaged: its stream takes ${taken} samples, its detector ` +
          `${this.rule.chunk}.`,
      );
    }
  }

  /**
   * @param {Float32Array} samples Mono PCM at 16 kHz in [-1, 1], of any length: the
   *     loudest second is taken.
   * @returns {Promise<{candidates: {label: string, score: number}[],
   *     scores: Float32Array, milliseconds: number}>}
   */
  async recognise(samples) {
    const clip = loudestStretch(samples, this.length);
    const { scores, milliseconds } = await this.classify(clip, [1, clip.length]);
    return { candidates: this.rank(scores), scores, milliseconds };
  }

  /**
   * Listens to sound that does not end.
   *
   *     const stream = model.stream();
   *     for (const { label, seconds } of (await stream.push(samples)).detections) ...
   *
   * @param {{threshold?: number}} [options] In place of the one in the file.
   * @returns {KeywordStream}
   */
  stream({ threshold } = {}) {
    const rule = threshold === undefined ? this.rule : { ...this.rule, threshold };
    return new KeywordStream(this, rule);
  }
}

class KeywordStream {
  #model;
  #detector;
  #waiting = new Float32Array(0);
  #state;
  #last = Promise.resolve();

  constructor(model, rule) {
    this.#model = model;
    this.#detector = new Detector(rule, model.labels);
    this.chunk = rule.chunk;
    this.#state = model.streams ? startState(model.graph) : new Float32Array(model.length);
  }

  /**
   * @param {Float32Array} samples Mono PCM at 16 kHz, any number; less than a chunk
   *     is kept for the next call.
   * @returns {Promise<{scores: Float32Array|null, milliseconds: number, chunks: number,
   *     detections: {label: string, score: number, seconds: number}[]}>} The scores
   *     after the last chunk, the time of all `chunks`, and what was heard in them;
   *     `seconds` count from the stream's beginning.
   */
  push(samples) {
    const turn = this.#last.then(() => this.#take(samples));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #take(samples) {
    const all = new Float32Array(this.#waiting.length + samples.length);
    all.set(this.#waiting);
    all.set(samples, this.#waiting.length);
    const answer = { scores: null, milliseconds: 0, chunks: 0, detections: [] };
    let at = 0;
    for (; at + this.chunk <= all.length; at += this.chunk) {
      const from = performance.now();
      answer.scores = await this.#step(all.slice(at, at + this.chunk));
      answer.milliseconds += performance.now() - from;
      answer.chunks++;
      const detection = this.#detector.step(answer.scores);
      if (detection) answer.detections.push(detection);
    }
    this.#waiting = all.slice(at);
    return answer;
  }

  async #step(chunk) {
    if (!this.#model.streams) {
      this.#state.copyWithin(0, chunk.length);
      this.#state.set(chunk, this.#state.length - chunk.length);
      const found = await this.#model.classify(this.#state, [1, this.#state.length]);
      return found.scores;
    }
    const { graph } = this.#model;
    const { inputs } = graph.signatures[STREAM];
    const given = Object.fromEntries(
      inputs.map(({ name, shape }) => [name, { data: this.#state[name] ?? chunk, shape }]),
    );
    const found = await graph.run(STREAM, given);
    for (const name of Object.keys(this.#state)) this.#state[name] = found[name];
    const scores = Object.keys(found).find((name) => !(name in this.#state));
    return found[scores];
  }
}

/** What the stream takes: states, which come back as outputs, and the sound. */
function streamInputs(graph) {
  const { inputs, outputs } = graph.signatures[STREAM];
  const returned = new Set(outputs.map(({ name }) => name));
  return {
    states: inputs.filter(({ name }) => returned.has(name)),
    sound: inputs.find(({ name }) => !returned.has(name)),
  };
}

/** Zeros for every state. */
function startState(graph) {
  return Object.fromEntries(
    streamInputs(graph).states.map(({ name, dtype, shape }) => {
      const size = shape.reduce((product, n) => product * n, 1);
      return [name, dtype === 'int32' ? new Int32Array(size) : new Float32Array(size)];
    }),
  );
}
