/**
 * The packets in which a child's messages travel through its standard output, so that they can be told apart from what
 * tasks print there. INTERNALS.md beside this file tells the protocol.
 *
 * @module
 */

import { JSON, Math } from "../../futures/builtins.ts";
import { concat } from "./messages.ts";

/** ASCII "record separator": each packet begins with one. */
const RS = 0x1e;
const LF = 0x0a;
const ZERO = 0x30;
const COMMA = 0x2c;
const BRACKET = 0x5d;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The maximum size of a packet in bytes: a pipe takes that many in one piece, even while others write to it. */
export const MAX_PACKET_BYTES = Deno.build.os === "darwin" ? 512 : 4096;

/** A child's two streams of messages: that of its main thread, and that of the thread which reads its input. */
export const MAIN = 0;
export const READER = 1;

/** The most bytes of a packet's line after its prefix: a stream, a comma, a size, a bracket and a line feed. */
const MAX_SIZE_BYTES = 8;

function prefixOf(token: string): string {
  return `\x1e["${token}",`;
}

/**
 * Cuts the bytes of messages into packets: a line that says how many bytes follow, those bytes, and a line feed. Deno's
 * standard output writes what ends in a line feed at once, and everything else in two pieces, between which the output
 * of another program could fall.
 */
export class PacketWriter {
  readonly #prefix: string;
  readonly #write: (bytes: Uint8Array) => void;
  readonly #packet = new Uint8Array(MAX_PACKET_BYTES);

  /** @param write Writes all of the bytes, in one piece. */
  constructor(token: string, write: (bytes: Uint8Array) => void) {
    this.#prefix = prefixOf(token);
    this.#write = write;
  }

  write(parts: readonly Uint8Array[]): void {
    const packet = this.#packet;
    const most = MAX_PACKET_BYTES - this.#prefix.length - MAX_SIZE_BYTES - 1;
    let left = 0;
    for (const { byteLength } of parts) left += byteLength;
    let start = 0;
    for (let part = 0, at = 0, before = 0; left > 0;) {
      const size = Math.min(left, most);
      // The line is still there where the packet before is as large: those of a large payload are.
      if (size !== before) start = encoder.encodeInto(`${this.#prefix}${MAIN},${size}]\n`, packet).written;
      before = size;
      left -= size;
      let end = start;
      for (let missing = size; missing > 0;) {
        const bytes = parts[part].subarray(at, at + missing);
        packet.set(bytes, end);
        end += bytes.byteLength;
        missing -= bytes.byteLength;
        at += bytes.byteLength;
        if (at === parts[part].byteLength) {
          part++;
          at = 0;
        }
      }
      packet[end] = LF;
      this.#write(packet.subarray(0, end + 1));
    }
  }
}

/** Tells packets apart from everything else in a stream of bytes. */
export class PacketReader {
  readonly #prefix: Uint8Array;
  readonly #onPacket: (bytes: Uint8Array, stream: number) => void;
  readonly #onOutput: (bytes: Uint8Array) => void;
  /** What may be the beginning of a packet. */
  #held = new Uint8Array(0);
  /** How many bytes of the current packet are to come; the last one is its line feed. */
  #missing = 0;
  #stream = MAIN;

  /** What is given to the callbacks lies in memory that is used again after they return. */
  constructor(
    token: string,
    onPacket: (bytes: Uint8Array, stream: number) => void,
    onOutput: (bytes: Uint8Array) => void,
  ) {
    this.#prefix = encoder.encode(prefixOf(token));
    this.#onPacket = onPacket;
    this.#onOutput = onOutput;
  }

  push(bytes: Uint8Array): void {
    if (this.#held.byteLength > 0) {
      bytes = concat(this.#held, bytes);
      this.#held = new Uint8Array(0);
    }
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#missing > 1) {
        const part = bytes.subarray(at, at + this.#missing - 1);
        this.#missing -= part.byteLength;
        at += part.byteLength;
        this.#onPacket(part, this.#stream);
        continue;
      }
      if (this.#missing === 1) {
        this.#missing = 0;
        at++;
        continue;
      }
      const start = this.#findPacket(bytes, at);
      if (start > at) this.#onOutput(bytes.subarray(at, start));
      if (start === bytes.byteLength) return;
      const begin = start + this.#prefix.byteLength;
      const line = bytes.subarray(begin, begin + MAX_SIZE_BYTES);
      const end = line.indexOf(LF);
      if (end === -1 && line.byteLength < MAX_SIZE_BYTES) {
        this.#held = bytes.slice(start);
        return;
      }
      const size = sizeIn(line, end);
      if (size === undefined) {
        throw new SyntaxError(`Cannot read an invalid first line of a packet: ${JSON.stringify(decoder.decode(line))}`);
      }
      this.#stream = line[0] - ZERO;
      this.#missing = size + 1;
      at = begin + end + 1;
    }
  }

  /** The stream has ended: what could have been the beginning of a packet is none. */
  end(): void {
    if (this.#held.byteLength > 0) this.#onOutput(this.#held);
    this.#held = new Uint8Array(0);
  }

  /** Where a packet begins, or perhaps begins; the end of the bytes where none does. */
  #findPacket(bytes: Uint8Array, from: number): number {
    const prefix = this.#prefix;
    for (let start = bytes.indexOf(RS, from); start !== -1; start = bytes.indexOf(RS, start + 1)) {
      let same = 1;
      while (same < prefix.byteLength && start + same < bytes.byteLength && bytes[start + same] === prefix[same]) {
        same++;
      }
      if (same === prefix.byteLength) return start;
      if (start + same === bytes.byteLength) {
        // Perhaps: the caller finds no end of line and waits for more.
        return start;
      }
    }
    return bytes.byteLength;
  }
}

/** The size that the rest of a packet's line says, up to its line feed; `undefined` when it is no such line. */
function sizeIn(line: Uint8Array, end: number): number | undefined {
  const isLine = end > 3 && line[end - 1] === BRACKET && line[1] === COMMA && (line[0] | 1) === ZERO + 1;
  if (!isLine) return undefined;
  let size = 0;
  for (let i = 2; i < end - 1; i++) {
    const digit = line[i] - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    size = size * 10 + digit;
  }
  return size <= MAX_PACKET_BYTES ? size : undefined;
}
