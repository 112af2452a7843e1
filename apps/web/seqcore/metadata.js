/**
 * What a .tflite file says about itself: `metadata.json` in a zip archive that
 * stands behind the flatbuffer. Only what that needs of the zip format (PKWARE's
 * APPNOTE 6.3): one disk, entries stored or deflated, no zip64.
 */

import { SeqcoreError } from './errors.js';

const NAME = 'metadata.json';
const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LONGEST_COMMENT = 0xffff;
const LARGEST = 16 << 20;

/**
 * @param {Uint8Array} file
 * @param {string} name What errors call the file.
 * @returns {Promise<object>} The metadata; empty where the file carries none.
 * @throws {SeqcoreError} The archive or the JSON in it is damaged.
 */
export async function readMetadata(file, name = 'the file') {
  try {
    const text = await readEntry(file, NAME);
    const found = text === null ? {} : JSON.parse(new TextDecoder().decode(text));
    if (typeof found !== 'object' || found === null || Array.isArray(found)) {
      throw new Error('no object');
    }
    return found;
  } catch {
    throw new SeqcoreError(`${name} is damaged: its metadata cannot be read.`);
  }
}

async function readEntry(file, wanted) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = findEnd(view);
  if (end < 0) return null;
  const size = view.getUint32(end + 12, true);
  const stated = view.getUint32(end + 16, true);
  // The archive counts from its own start, which lies behind the model.
  const directory = end - size;
  const shift = directory - stated;
  if (shift < 0) throw new Error('the directory lies outside the file');
  const decoder = new TextDecoder();
  for (let at = directory; at < end; ) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) throw new Error('no entry');
    const nameLength = view.getUint16(at + 28, true);
    const entry = {
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true) + shift,
    };
    const name = decoder.decode(file.subarray(at + 46, at + 46 + nameLength));
    if (name === wanted) return unpack(file, view, entry);
    at +=
      46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return null;
}

function findEnd(view) {
  const first = Math.max(0, view.byteLength - 22 - LONGEST_COMMENT);
  for (let at = view.byteLength - 22; at >= first; at--) {
    if (view.getUint32(at, true) === END_OF_DIRECTORY) return at;
  }
  return -1;
}

async function unpack(file, view, entry) {
  const { offset } = entry;
  const start =
    offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const packed = file.subarray(start, start + entry.packed);
  if (packed.length !== entry.packed || entry.size > LARGEST) {
    throw new Error('cut short');
  }
  if (entry.method === 0) return packed;
  if (entry.method !== 8) throw new Error(`compression ${entry.method}`);
  const stream = new Blob([packed])
    .stream()
    .pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
