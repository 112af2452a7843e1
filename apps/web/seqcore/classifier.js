/** What all recognisers share. */

import { SeqcoreError } from './errors.js';

export const SERVING = 'serving_default';
export const STREAM = 'stream';

export class Recogniser {
  /**
   * @param {import('./runtime.js').Graph} graph
   * @param {object} metadata
   * @param {{name: string, bytes: number}} file
   */
  constructor(graph, metadata, { name, bytes }) {
    this.graph = graph;
    this.metadata = metadata;
    this.name = name;
    this.bytes = bytes;
    this.app = metadata.app;
    this.labels = metadata.labels;
    this.settings = metadata.settings ?? {};
  }

  /** `none` (float32), `float16`, `dynamic` (int8 weights) or `int8`. */
  get quantize() {
    return this.metadata.seqcore?.quantize ?? 'none';
  }

  /** Only some files can answer before their input has ended. */
  stream() {
    throw new SeqcoreError(`${this.name} takes whole inputs only: it has no stream.`);
  }

  close() {
    this.graph.close();
  }

  /** Length of the input where the file fixes it; -1 where it is free. */
  get inputLength() {
    return this.graph.signatures[SERVING].inputs[0].shape[1];
  }

  /** Runs the only input of the serving signature. */
  async serve(data, shape) {
    const { inputs } = this.graph.signatures[SERVING];
    const from = performance.now();
    const found = await this.graph.run(SERVING, { [inputs[0].name]: { data, shape } });
    return { found, milliseconds: performance.now() - from };
  }
}

export class Classifier extends Recogniser {
  constructor(graph, metadata, file) {
    super(graph, metadata, file);
    const serving = graph.signatures[SERVING];
    const size = serving?.outputs[0]?.shape.at(-1);
    if (!serving || serving.inputs.length !== 1 || size !== this.labels.length) {
      throw new SeqcoreError(
        `${file.name} is damaged: it names ${this.labels.length} labels and scores ` +
          `${size ?? 'none'}.`,
      );
    }
  }

  /** The scores, in the order of the labels. */
  async classify(data, shape) {
    const { found, milliseconds } = await this.serve(data, shape);
    return { scores: Object.values(found)[0], milliseconds };
  }

  rank(scores) {
    return this.labels
      .map((label, index) => ({ label, score: scores[index] }))
      .sort((a, b) => b.score - a.score);
  }
}
