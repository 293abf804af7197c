/**
 * Encoded values, and how they lie in shared memory.
 *
 * @module
 */

import { Math } from "../../futures/builtins.ts";
import { SerializationError } from "../../futures/errors.ts";
import type { Memory, Payload } from "./memory.ts";
import { giveBack, takeSpare } from "./_spare.ts";

/** How a payload is encoded. */
export const Encoding = {
  /** Nothing: no arguments, or `undefined`. */
  NONE: 0,
  /** One number as a float64. */
  NUMBER: 1,
  /** JSON text. */
  JSON: 2,
  /** Any value: JSON text in the form of `_graph_format.ts`, with buffers beside it. */
  GRAPH: 3,
  /** The same, with ports and streams that move: only the structured clone of a message carries these. */
  CLONE: 4,
  /** One text. */
  TEXT: 5,
  /** One buffer, or a view of all of one: the text is the name of its class. */
  BYTES: 6,
  /** A list of numbers as float64s. */
  NUMBERS: 7,
  /** The outcome of a chunk: the payloads of its results, and of its error. The text says how each is encoded. */
  PARTS: 8,
} as const;

/** Whether a payload of this encoding is a text and nothing else. */
function isText(encoding: number): boolean {
  return encoding === Encoding.JSON || encoding === Encoding.TEXT;
}

const encoder = new TextEncoder();
// A text may begin with what looks like a byte order mark.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** An encoded value. Whatever becomes of the value afterwards, this stays as it is. */
export class Encoded implements Payload {
  readonly encoding: number;
  readonly text: string;
  readonly number: number;
  /** Copies of the value's buffers, or the buffers themselves where they were moved. */
  readonly buffers: ArrayBuffer[];
  /** Memory that is shared, not copied. */
  shared: SharedArrayBuffer[];
  /** The numbers by which the other side knows the pieces of `shared`; set before the payload is written. */
  sharedIds: number[] = NOTHING;
  /** What moves and is no buffer, of `Encoding.CLONE`; of `Encoding.PARTS`, a list with that of each such part. */
  readonly clone: { value: unknown; list: Transferable[] } | undefined;
  readonly room: number;
  /** Whether the caller still has the buffer that moves: a message will take it away, or {@linkcode takeMoved} must. */
  #isMoving = false;

  /**
   * A payload of one buffer that its caller moves. The buffer moves only once, with the message: to move it here as
   * well would make V8 collect garbage for its size both times.
   */
  static moving(text: string, buffer: ArrayBuffer): Encoded {
    const payload = new Encoded(Encoding.BYTES, text, 0, [buffer]);
    payload.#isMoving = true;
    return payload;
  }

  constructor(
    encoding: number,
    text: string,
    number = 0,
    buffers: ArrayBuffer[] = NOTHING,
    shared: SharedArrayBuffer[] = NOTHING,
    clone?: { value: unknown; list: Transferable[] },
  ) {
    this.encoding = encoding;
    this.text = text;
    this.number = number;
    this.buffers = buffers;
    this.shared = shared;
    this.clone = clone;
    // UTF-8 takes at most three bytes for each UTF-16 unit.
    this.room = isText(encoding) ? text.length * 3 : this.#room();
  }

  /**
   * Takes the buffer that moves away from its caller.
   *
   * @throws {SerializationError} It cannot move.
   */
  takeMoved(root: "args" | "result"): void {
    if (!this.#isMoving) return;
    try {
      this.buffers[0] = this.buffers[0].transfer();
    } catch (error) {
      throw immovable(root, error);
    }
    this.#isMoving = false;
  }

  /** Closes what has moved here and will not move on, such as the port of a task that was cancelled. */
  discard(): void {
    for (const item of this.clone?.list ?? []) {
      if ("close" in item && typeof item.close === "function") item.close();
      else if (item instanceof ReadableStream) void item.cancel().catch(() => {});
    }
  }

  #room(): number {
    if (this.encoding === Encoding.NONE) return 0;
    if (this.encoding === Encoding.NUMBER) return 8;
    // It fits into no memory: only a message carries it.
    if (this.clone !== undefined) return Infinity;
    let room = 16 + this.buffers.length * 8 + aligned(this.shared.length * 4) + aligned(this.text.length * 3);
    for (const { byteLength } of this.buffers) room += aligned(byteLength);
    return room;
  }

  write(memory: Memory, offset: number): number {
    switch (this.encoding) {
      case Encoding.NONE:
        return 0;
      case Encoding.NUMBER:
        memory.view.setFloat64(offset, this.number);
        return 8;
      case Encoding.JSON:
      case Encoding.TEXT:
        return encodeText(this.text, memory.bytes, offset);
      default:
        return this.#writeGraph(memory, offset);
    }
  }

  /**
   * The layout: the text's length and the counts, the buffers' lengths, the ids of shared memory, the text, the
   * buffers. Each begins at a multiple of 8.
   */
  #writeGraph({ bytes, view }: Memory, offset: number): number {
    const { buffers, sharedIds } = this;
    let at = offset + 16;
    for (const { byteLength } of buffers) {
      view.setFloat64(at, byteLength);
      at += 8;
    }
    for (let i = 0; i < sharedIds.length; i++) view.setUint32(at + i * 4, sharedIds[i]);
    at += aligned(sharedIds.length * 4);
    const textLength = encodeText(this.text, bytes, at);
    at += aligned(textLength);
    view.setFloat64(offset, textLength);
    view.setUint32(offset + 8, buffers.length);
    view.setUint32(offset + 12, sharedIds.length);
    for (const buffer of buffers) {
      bytes.set(new Uint8Array(buffer), at);
      at += aligned(buffer.byteLength);
    }
    return at - offset;
  }

  /** Reads what {@linkcode write} wrote, copying everything out of the memory. */
  static read(encoding: number, memory: Memory, offset: number, byteLength: number): Encoded {
    switch (encoding) {
      case Encoding.NONE:
        return EMPTY;
      case Encoding.NUMBER:
        return new Encoded(encoding, "", memory.view.getFloat64(offset));
      case Encoding.JSON:
      case Encoding.TEXT:
        return new Encoded(encoding, decodeText(memory.bytes, offset, byteLength));
    }
    const { bytes, view } = memory;
    const textLength = view.getFloat64(offset);
    const lengths = Array.from({ length: view.getUint32(offset + 8) }, (_, i) => view.getFloat64(offset + 16 + i * 8));
    let at = offset + 16 + lengths.length * 8;
    const sharedIds = Array.from({ length: view.getUint32(offset + 12) }, (_, i) => view.getUint32(at + i * 4));
    at += aligned(sharedIds.length * 4);
    const text = decodeText(bytes, at, textLength);
    at += aligned(textLength);
    const buffers = lengths.map((length) => {
      const start = at;
      at += aligned(length);
      return copyOf(bytes.subarray(start, start + length)).buffer;
    });
    const payload = new Encoded(encoding, text, 0, buffers, []);
    payload.sharedIds = sharedIds;
    return payload;
  }
}

/** The error of a value that cannot move, such as WebAssembly's memory, which only the attempt tells. */
export function immovable(root: "args" | "result", error: unknown): SerializationError {
  return new SerializationError(
    `Cannot send ${root} to another thread: ${error instanceof Error ? error.message : error}`,
    root,
    { cause: error },
  );
}

/** One empty array for all. */
export const NOTHING: never[] = [];
/** The payload of nothing. */
export const EMPTY: Encoded = new Encoded(Encoding.NONE, "");

/**
 * A payload as the bytes that travel between processes: those of the number or the text, then each buffer. Those of the
 * text may be the beginning of a larger buffer.
 */
export class EncodedSections implements Payload {
  readonly encoding: number;
  readonly sections: readonly Uint8Array[];
  /** Whether somebody may read it at any time: its memory is not used again. */
  isKept = false;
  /** The memory of signals, which who passes the payload on looks at: no other process shares it. */
  shared: SharedArrayBuffer[] = NOTHING;
  sharedIds: number[] = NOTHING;
  readonly room: number;

  constructor(encoding: number, sections: readonly Uint8Array[]) {
    this.encoding = encoding;
    this.sections = sections;
    switch (encoding) {
      case Encoding.NONE:
        this.room = 0;
        break;
      case Encoding.GRAPH:
      case Encoding.BYTES:
      case Encoding.NUMBERS:
      case Encoding.PARTS:
        this.room = 16 + sections.reduce((room, { byteLength }) => room + 8 + aligned(byteLength), 0);
        break;
      default:
        this.room = sections[0].byteLength;
    }
  }

  /** Encodes a payload. */
  static from({ encoding, text, number, buffers, shared }: Encoded): EncodedSections {
    switch (encoding) {
      case Encoding.NONE:
        return NO_BYTES;
      case Encoding.NUMBER: {
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setFloat64(0, number);
        return new EncodedSections(encoding, [bytes]);
      }
      default: {
        const sections = [encoded(text), ...buffers.map((buffer) => new Uint8Array(buffer))];
        const payload = new EncodedSections(encoding, sections);
        payload.shared = shared;
        return payload;
      }
    }
  }

  /** Reads what {@linkcode write} or {@linkcode Encoded.write} wrote, copying everything out of the memory. */
  static read(encoding: number, memory: Memory, offset: number, byteLength: number): EncodedSections {
    if (encoding === Encoding.NONE) return NO_BYTES;
    if (encoding === Encoding.NUMBER || isText(encoding)) {
      return new EncodedSections(encoding, [copyOf(memory.bytes.subarray(offset, offset + byteLength))]);
    }
    const read = Encoded.read(encoding, memory, offset, byteLength);
    const payload = EncodedSections.from(read);
    payload.sharedIds = read.sharedIds;
    return payload;
  }

  /** Nothing moves between processes. */
  takeMoved(_root: "args" | "result"): void {}

  write(memory: Memory, offset: number): number {
    if (this.encoding === Encoding.NONE) return 0;
    if (this.encoding === Encoding.NUMBER || isText(this.encoding)) {
      memory.bytes.set(this.sections[0], offset);
      return this.sections[0].byteLength;
    }
    return this.decoded().write(memory, offset);
  }

  /** Gives back the memory of the text: nobody may read this payload any more. */
  giveBack(): void {
    if (this.sections.length > 0 && !this.isKept) giveBack(this.sections[0].buffer as ArrayBuffer);
  }

  decoded(): Encoded {
    const { encoding, sections } = this;
    switch (encoding) {
      case Encoding.NONE:
        return EMPTY;
      case Encoding.NUMBER: {
        const { buffer, byteOffset } = sections[0];
        return new Encoded(encoding, "", new DataView(buffer, byteOffset).getFloat64(0));
      }
      default:
        return new Encoded(encoding, decoder.decode(sections[0]), 0, sections.slice(1).map(wholeBuffer));
    }
  }
}

/** The payload of nothing, as bytes. */
export const NO_BYTES: EncodedSections = new EncodedSections(Encoding.NONE, []);

/** The buffer of some bytes; a copy where they are only a part of it. */
export function wholeBuffer(bytes: Uint8Array): ArrayBuffer {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength;
  return isWhole ? bytes.buffer as ArrayBuffer : copyOf(bytes).buffer;
}

/** A copy of bytes. `slice()` takes longer, as does a new array that is filled then: both write zeros first. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  keepFreed(bytes.byteLength);
  return new Uint8Array(bytes);
}

/** From this size on, the C library takes memory from the system in one piece, and gives it back when it is freed. */
const MAPPED_BYTES = 2 ** 17;
/** Up to twice this size, freed memory then stays with the program. */
const KEPT_BYTES = 2 ** 23;
let isKeeping = false;

/**
 * Makes glibc keep the memory of large buffers. V8 frees many of these at once, and glibc gives their memory back to
 * the system: to get it again takes longer than to copy what comes into it. Once glibc has seen a large piece freed, it
 * keeps more (mallopt(3), `M_MMAP_THRESHOLD`). To free one takes no time here, as nothing was written to it.
 */
function keepFreed(byteLength: number): void {
  if (byteLength < MAPPED_BYTES || isKeeping) return;
  isKeeping = true;
  new ArrayBuffer(KEPT_BYTES).transfer(0);
}

/** New memory. */
export function allocate(byteLength: number): Uint8Array<ArrayBuffer> {
  keepFreed(byteLength);
  return new Uint8Array(byteLength);
}

/** Memory for the UTF-8 of a text: the beginning of a buffer, which may be larger. */
export function allocateText(byteLength: number): Uint8Array<ArrayBuffer> {
  return takeSpare(byteLength) ?? allocate(byteLength);
}

/** The UTF-8 of a text, at the beginning of a buffer of its own. */
function encoded(text: string): Uint8Array {
  if (text.length > SHORT_TEXT) {
    // Most texts are ASCII, and have as many bytes as units.
    const bytes = allocateText(text.length);
    if (encoder.encodeInto(text, bytes).read === text.length) return bytes;
  }
  return encoder.encode(text);
}

/** The next multiple of 8. Sizes may be over 2³¹, so not by operators on bits. */
function aligned(byteLength: number): number {
  return Math.ceil(byteLength / 8) * 8;
}

/** Up to this length, to write and read texts unit by unit is quicker than to call the encoder. */
const SHORT_TEXT = 32;

function encodeText(text: string, bytes: Uint8Array, offset: number): number {
  const { length } = text;
  if (length <= SHORT_TEXT) {
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) break;
      bytes[offset + i] = unit;
    }
    if (i === length) return length;
  }
  return encoder.encodeInto(text, bytes.subarray(offset)).written;
}

/**
 * Where texts are copied out of shared memory, as a copy is decoded four times as fast. It is the same place each time,
 * because a small buffer takes long to make.
 */
let scratch = new Uint8Array(4096);
const MAX_SCRATCH = 1 << 20;

function decodeText(bytes: Uint8Array, offset: number, byteLength: number): string {
  if (byteLength <= SHORT_TEXT) {
    let text = "";
    let i = 0;
    for (; i < byteLength; i++) {
      const byte = bytes[offset + i];
      if (byte > 127) break;
      text += String.fromCharCode(byte);
    }
    if (i === byteLength) return text;
  }
  const part = bytes.subarray(offset, offset + byteLength);
  if (byteLength > MAX_SCRATCH) return decoder.decode(copyOf(part));
  if (byteLength > scratch.length) scratch = new Uint8Array(2 ** Math.ceil(Math.log2(byteLength)));
  scratch.set(part);
  return decoder.decode(scratch.subarray(0, byteLength));
}
