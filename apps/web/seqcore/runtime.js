/** A .tflite file as functions of named arrays, by LiteRT.js on WebAssembly. */

import { SeqcoreError } from './errors.js';

let place = new URL('../vendor/litert/', import.meta.url);
let engine = null;
let broken = false;
let complaints = [];

function keepErrors(line) {
  if (!/^(INFO|WARNING|VERBOSE):/.test(line)) complaints = [...complaints, line].slice(-8);
}

/**
 * @param {{litert: string|URL}} options Where LiteRT.js lies: a folder with its
 *     `index.js` and its `wasm/`.
 */
export function configure({ litert }) {
  place = new URL(litert, globalThis.location?.href);
}

/** Starts LiteRT.js, once; resolves to its module. */
function start() {
  engine ??= (async () => {
    if (typeof WebAssembly !== 'object') {
      throw new SeqcoreError(
        'This browser has no WebAssembly (or a policy turned it off), so no model ' +
          'can run in it.',
      );
    }
    try {
      const module = await import(new URL('index.js', place));
      // What the engine's loader looks for: the settings of an Emscripten module.
      // It reports every resized input, many times a second.
      globalThis.Module = { print() {}, printErr: keepErrors };
      await module.loadLiteRt(new URL('wasm/', place).href);
      return module;
    } catch (error) {
      engine = null; // The next call may find the network back.
      throw new SeqcoreError(
        `The recogniser's engine could not be loaded from ${place.pathname} ` +
          `(${firstLine(error)}).`,
      );
    }
  })();
  return engine;
}

/**
 * @param {Uint8Array} bytes
 * @param {string} name What errors call the file.
 * @returns {Promise<Graph>}
 * @throws {SeqcoreError} LiteRT.js cannot be loaded, or refuses the file.
 */
export async function open(bytes, name) {
  const litert = await start();
  refuseIfBroken();
  let compiled;
  complaints = [];
  try {
    compiled = await litert.loadAndCompile(bytes, { accelerator: 'wasm' });
  } catch (error) {
    noteCrash(error);
    throw new SeqcoreError(
      `${name} is damaged, or needs what no browser has: ${reason(error)}.`,
    );
  }
  try {
    return new Graph(litert, compiled, name);
  } catch (error) {
    compiled.delete();
    throw error;
  }
}

export class Graph {
  constructor(litert, compiled, name) {
    this.litert = litert;
    this.compiled = compiled;
    this.name = name;
    /** Signatures: {name: {inputs: [{name, dtype, shape}], outputs: [...]}}. A free
     * length is -1. */
    this.signatures = {};
    for (const [key, runner] of Object.entries(compiled.signatures)) {
      const describe = (details) =>
        details.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] }));
      this.signatures[key] = {
        inputs: describe(runner.getInputDetails()),
        outputs: describe(runner.getOutputDetails()),
      };
    }
  }

  /** Whether the browser can run it: outputs must have a size that is known before. */
  canRun(signature) {
    const known = this.signatures[signature];
    return !!known && known.outputs.every(({ shape }) => shape.every((n) => n > 0));
  }

  /**
   * @param {string} signature
   * @param {Object<string, {data: Float32Array|Int32Array, shape: number[]}>} inputs
   * @returns {Promise<Object<string, Float32Array|Int32Array>>} Copies of the outputs.
   * @throws {SeqcoreError} A shape the file does not take, or the engine failed.
   */
  async run(signature, inputs) {
    refuseIfBroken();
    const described = this.signatures[signature];
    const runner = this.compiled.signatures[signature];
    const tensors = [];
    const found = {};
    try {
      for (const { name, shape } of described.inputs) {
        const input = inputs[name];
        if (!fits(input.shape, shape)) {
          throw new SeqcoreError(
            `${this.name} takes ${name} of shape [${shape}], not [${input.shape}].`,
          );
        }
        tensors.push(new this.litert.Tensor(input.data, input.shape));
      }
      // Not runner.run(): it compares shapes literally, so that a free length (-1)
      // fits none. The engine below it resizes the input by itself.
      const buffers = await runner.liteRtCompiledModel.run(
        runner.signatureIndex,
        tensors.map((tensor) => tensor.liteRtTensorBuffer),
      );
      for (const [index, { name }] of described.outputs.entries()) {
        const tensor = new this.litert.Tensor(buffers[index]);
        tensors.push(tensor);
        found[name] = tensor.toTypedArray().slice();
      }
    } catch (error) {
      if (error instanceof SeqcoreError) throw error;
      noteCrash(error);
      throw new SeqcoreError(`${this.name} failed to run: ${reason(error)}.`);
    } finally {
      for (const tensor of tensors) tensor.delete();
    }
    return found;
  }

  close() {
    this.compiled.delete();
  }
}

function fits(shape, wanted) {
  return (
    shape.length === wanted.length &&
    shape.every((n, axis) => wanted[axis] === -1 || wanted[axis] === n)
  );
}

/** After a trap the memory of the engine, which all models share, is not to be used. */
function noteCrash(error) {
  broken ||= error instanceof WebAssembly.RuntimeError;
}

function refuseIfBroken() {
  if (broken) {
    throw new SeqcoreError('The engine crashed on a file: reload the page to go on.');
  }
}

/** The engine's own words, where it has said any. */
function reason(error) {
  const said = complaints.map((line) => line.replace(/^[\s└]*(ERROR: )*(\[[^\]]*\] ?)*/, ''));
  return said.filter(Boolean).at(-1) ?? firstLine(error);
}

function firstLine(error) {
  const text = String(error?.message ?? error).split('\n')[0].trim();
  return text.replace(/\.$/, '').slice(0, 200) || 'unknown error';
}
