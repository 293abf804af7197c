/**
 * Shared memory as bytes, and what can write itself there.
 *
 * @module
 */

/** A piece of shared memory, seen as bytes. */
export class Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(buffer: SharedArrayBuffer, byteOffset = 0, byteLength = buffer.byteLength) {
    this.bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.view = new DataView(buffer, byteOffset, byteLength);
  }
}

/** A payload that can write itself into shared memory. */
export interface Payload {
  /** How many bytes it can take at the most. */
  readonly room: number;
  /** Writes the payload at `offset`, a multiple of 8, and returns its size in bytes. */
  write(memory: Memory, offset: number): number;
}
