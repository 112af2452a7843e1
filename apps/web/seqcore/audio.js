/** Sound as the models take it: mono PCM at 16 kHz. */

export const SAMPLE_RATE = 16_000;
const ZERO_CROSSINGS = 24;
const TABLE_STEPS = 256;
const KAISER_BETA = 9;
const ROLL_OFF = 0.945;

/**
 * Brings sound from any sample rate to 16 kHz, piece by piece: a sinc under a Kaiser
 * window (J. O. Smith, "Digital Audio Resampling"), flat to 7.3 kHz, about 90 dB down
 * where it would alias.
 */
export class Resampler {
  /** @param {number} rate Samples a second of what is pushed. */
  constructor(rate) {
    if (!(rate >= 1000 && rate <= 768_000)) {
      throw new RangeError(`a sample rate of ${rate} Hz: expected 1000 to 768000`);
    }
    this.ratio = rate / SAMPLE_RATE;
    this.cutoff = Math.min(1, 1 / this.ratio) * ROLL_OFF;
    this.reach = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this.table = sincTable();
    // As if silence had come before, so that the first sample can be computed.
    this.kept = new Float32Array(this.reach);
    this.position = this.reach; // Of the next output, in samples of `kept`.
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} What can be computed by now; the rest comes later.
   */
  push(samples) {
    if (this.ratio === 1) return samples;
    const input = new Float32Array(this.kept.length + samples.length);
    input.set(this.kept);
    input.set(samples, this.kept.length);
    const room = input.length - this.reach - this.position;
    const found = new Float32Array(Math.max(0, Math.ceil(room / this.ratio)));
    for (let i = 0; i < found.length; i++) {
      found[i] = this.at(input, this.position);
      this.position += this.ratio;
    }
    const done = Math.max(0, Math.floor(this.position) - this.reach);
    this.kept = input.slice(done);
    this.position -= done;
    return found;
  }

  /** The rest of a recording that has ended. */
  flush() {
    return this.push(new Float32Array(this.reach));
  }

  at(input, position) {
    const first = Math.ceil(position - this.reach);
    const scale = (this.cutoff * TABLE_STEPS);
    let sum = 0;
    for (let i = Math.max(first, 0); i <= position + this.reach && i < input.length; i++) {
      const place = Math.abs(i - position) * scale;
      const index = Math.floor(place);
      const low = this.table[index] ?? 0;
      const high = this.table[index + 1] ?? 0;
      sum += input[i] * (low + (place - index) * (high - low));
    }
    return sum * this.cutoff;
  }
}

function sincTable() {
  const size = ZERO_CROSSINGS * TABLE_STEPS;
  return Float64Array.from({ length: size + 1 }, (_, i) => {
    const x = (i / TABLE_STEPS) * Math.PI;
    const window =
      bessel(KAISER_BETA * Math.sqrt(1 - (i / size) ** 2)) / bessel(KAISER_BETA);
    return window * (i ? Math.sin(x) / x : 1);
  });
}

/** Modified Bessel function of the first kind, order 0. */
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * The `length` samples with the most energy, by blocks of 10 ms, as `predict` takes
 * them; a shorter input gets silence around it.
 */
export function loudestStretch(samples, length) {
  const missing = length - samples.length;
  const found = new Float32Array(length);
  if (missing >= 0) {
    found.set(samples, Math.floor(missing / 2));
    return found;
  }
  const hop = SAMPLE_RATE / 100;
  const blocks = new Float64Array(Math.ceil(samples.length / hop));
  samples.forEach((value, i) => (blocks[Math.floor(i / hop)] += value * value));
  const width = Math.ceil(length / hop);
  let best = 0;
  let most = -1;
  for (let start = 0; start + width <= blocks.length; start++) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += blocks[i];
    if (sum > most) [best, most] = [start, sum];
  }
  const start = Math.min(best * hop, samples.length - length);
  return samples.slice(start, start + length);
}
