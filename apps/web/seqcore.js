/**
 * Runs the .tflite files that seqcore's applications export, in a browser.
 *
 *     import { load } from './seqcore.js';
 *
 *     const digits = await load('models/digits.tflite');
 *     const { candidates } = await digits.recognise([[[10, 10], [12, 30], [11, 52]]]);
 *     console.log(candidates[0].label, candidates[0].score);
 *
 * A file says itself what it takes: `recogniser.app` is 'handwriting' (strokes),
 * 'speech' (PCM at 16 kHz) or 'text' (a string). Everything runs in the page, by
 * LiteRT.js, which is expected in `vendor/litert/` beside this module (`make web-dist`
 * puts it there); `configure({ litert })` names another place.
 *
 * Every error that a user can do something about is a `SeqcoreError` whose message is
 * a sentence to be shown as it is.
 */

import { SeqcoreError } from './seqcore/errors.js';
import { readMetadata } from './seqcore/metadata.js';
import { configure, open } from './seqcore/runtime.js';
import { handwriting } from './seqcore/handwriting.js';
import { speech } from './seqcore/speech.js';
import { text } from './seqcore/text.js';

export { SeqcoreError, configure };
export { Resampler, SAMPLE_RATE } from './seqcore/audio.js';

const KINDS = { handwriting, speech, text };

/**
 * Opens an exported file.
 *
 * @param {string|URL|Blob|ArrayBuffer|Uint8Array} source An address, a dropped file,
 *     or the bytes.
 * @param {{name?: string}} [options] `name`: what error messages call the file.
 * @returns {Promise<Recogniser>} All have
 *     - `app`, `labels`, `metadata` (what the file says of itself), `bytes` (its size),
 *     - `recognise(input)`, which resolves to `{candidates: [{label, score}],
 *       milliseconds, ...}`, candidates best first,
 *     - `stream()`, for input that has not ended yet (see `Speech`),
 *     - `close()`, which frees its memory.
 * @throws {SeqcoreError} The file is missing, damaged, not one of seqcore's, or of a
 *     form that browsers cannot run.
 */
export async function load(source, options = {}) {
  const name = options.name ?? nameOf(source);
  const bytes = await read(source, name);
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(4, 8)) !== 'TFL3') {
    throw new SeqcoreError(`${name} is not a .tflite file.`);
  }
  const metadata = await readMetadata(bytes, name);
  const kind = KINDS[metadata.app];
  if (!kind) {
    throw new SeqcoreError(
      metadata.app
        ? `${name} is a model of “${metadata.app}”; this page knows handwriting, ` +
          'speech and text.'
        : `${name} says nothing about what it recognises: it was not exported by ` +
          'one of the three applications.',
    );
  }
  if (!Array.isArray(metadata.labels) || !metadata.labels.length) {
    throw new SeqcoreError(`${name} carries no labels: export it again.`);
  }
  if (!metadata.labels.every((label) => typeof label === 'string')) {
    throw new SeqcoreError(`${name} has labels that are not texts: export it again.`);
  }
  if (metadata.seqcore?.lowering === 'fused') {
    throw new SeqcoreError(
      `${name} is made for microcontrollers (lowering “fused”), which no browser ` +
        'runs: export it with the default lowering.',
    );
  }
  const graph = await open(bytes, name);
  try {
    return kind(graph, metadata, { name, bytes: bytes.length });
  } catch (error) {
    graph.close();
    throw error;
  }
}

function nameOf(source) {
  if (typeof source === 'string' || source instanceof URL) {
    return String(source).split('?')[0].split('/').pop() || String(source);
  }
  return source.name ?? 'the file';
}

async function read(source, name) {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  let response;
  try {
    response = await fetch(source);
  } catch {
    throw new SeqcoreError(`${name} could not be fetched: the server does not answer.`);
  }
  if (!response.ok) {
    throw new SeqcoreError(`${name} is missing on the server (${response.status}).`);
  }
  return new Uint8Array(await response.arrayBuffer());
}
