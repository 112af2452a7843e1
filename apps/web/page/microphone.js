/** The microphone as mono PCM at 16 kHz. */

import { Resampler, SeqcoreError } from '../seqcore.js';

const REFUSED = {
  NotAllowedError:
    'The page may not use the microphone: allow it in the address bar, then press ' +
    'Listen again.',
  NotFoundError: 'No microphone was found: connect one, or open a recording instead.',
  NotReadableError: 'The microphone is in use by another program.',
};

export class Microphone {
  #context;
  #media;
  #stopped = false;

  /**
   * Asks for the microphone and starts, unless `stop` is called before the answer.
   *
   * @param {(samples: Float32Array) => void} onSamples
   * @throws {SeqcoreError} There is none, or the page may not use it.
   */
  async start(onSamples) {
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) {
      throw new SeqcoreError(
        'The browser gives a microphone to pages over https and on localhost only: ' +
          'open a recording instead.',
      );
    }
    try {
      this.#media = await navigator.mediaDevices.getUserMedia({
        // The models know rooms and noise; what calls are cleaned with distorts words.
        audio: {
          echoCancellation: false,
          noiseSuppression: false,
          autoGainControl: false,
        },
      });
    } catch (error) {
      if (this.#stopped) return;
      throw new SeqcoreError(
        REFUSED[error.name] ?? `The microphone cannot be used (${error.message}).`,
      );
    }
    if (this.#stopped) {
      await this.stop();
      return;
    }
    try {
      const context = new AudioContext({ latencyHint: 'interactive' });
      this.#context = context;
      await context.audioWorklet.addModule(new URL('recorder.js', import.meta.url));
      if (this.#stopped) return;
      await context.resume();
      if (this.#stopped) return;
      const resampler = new Resampler(context.sampleRate);
      const recorder = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0 });
      recorder.port.onmessage = ({ data }) => onSamples(resampler.push(data));
      context.createMediaStreamSource(this.#media).connect(recorder);
    } catch (error) {
      if (this.#stopped) return;
      await this.stop();
      throw new SeqcoreError(`The sound could not be read (${error.message}).`);
    }
  }

  async stop() {
    this.#stopped = true;
    const [media, context] = [this.#media, this.#context];
    this.#media = this.#context = undefined;
    for (const track of media?.getTracks() ?? []) track.stop();
    if (context?.state !== 'closed') await context?.close();
  }
}

/**
 * A recording as mono PCM at 16 kHz.
 *
 * @param {Blob} file Of any kind that the browser decodes.
 * @throws {SeqcoreError} It cannot be decoded, or is longer than ten minutes.
 */
export async function readRecording(file, name = file.name ?? 'the recording') {
  let sound;
  try {
    // The browser's own conversion to the context's rate.
    const context = new OfflineAudioContext(1, 1, 16_000);
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new SeqcoreError(`${name} cannot be read: no sound file, or a damaged one.`);
  }
  if (sound.duration > 600) {
    throw new SeqcoreError(`${name} lasts more than ten minutes: cut it into pieces.`);
  }
  const found = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let i = 0; i < found.length; i++) found[i] += samples[i] / sound.numberOfChannels;
  }
  return found;
}
