/**
 * The results that a child has and has not written yet. A write takes longer than a quick task, so one is made for many of them. They lie in memory that the
 * thread which reads the input shares: when a task turns out not to be quick, that thread writes what came before it.
 *
 * @module
 */

import { Atomics } from "../../../futures/builtins.ts";
import { type Encoded, EncodedSections, Encoding } from "../../_values/encoded.ts";
import { Memory } from "../../_values/memory.ts";
import { encodeMessage, type PacketWriter } from "../messages.ts";

/** Where things are in the memory: words, and where areas begin and end in bytes. All results together fit into one packet. */
export const OUTBOX = {
  /** A lock: 0 free, 1 taken, 2 taken and waited for. */
  LOCK: 0,
  /** The number of the first task whose result is here, and of how many results. */
  FIRST: 1,
  COUNT: 2,
  /** How many bytes of the areas are in use. */
  ENTRIES: 3,
  LENGTHS: 4,
  SECTIONS: 5,
  /** JSON texts of what a header says of each result, and of the lengths of its sections, a comma after each. */
  ENTRIES_AT: 32,
  LENGTHS_AT: 32 + 1024,
  SECTIONS_AT: 32 + 1024 + 512,
  END: 32 + 1024 + 512 + 2048,
} as const;

/** More than an entry takes, or the lengths of one with a single section. */
const ENTRY_BYTES = 32;

/** The main thread's side. */
export class Outbox {
  readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(OUTBOX.END);
  readonly #words = new Int32Array(this.buffer, 0, 8);
  readonly #memory = new Memory(this.buffer);
  #packets: PacketWriter | undefined;

  /** Says where to write. Must be called before anything is written. */
  open(packets: PacketWriter): void {
    this.#packets = packets;
  }

  /** Takes in what became of a task; the next one has the next number. Large ones are written at once. */
  add(id: number, type: number, payload: Encoded, steps: number): void {
    if (!isSmall(payload)) {
      const encoded = EncodedSections.from(payload);
      this.say(["results", id, [[type, steps, encoded.encoding, encoded.sections.length]]], encoded);
      return;
    }
    const words = this.#words;
    this.#lock();
    try {
      if (!this.#hasRoom(payload.room)) this.#writeAll();
      if (words[OUTBOX.COUNT]++ === 0) words[OUTBOX.FIRST] = id;
      const hasSection = payload.encoding !== Encoding.NONE;
      this.#append(OUTBOX.ENTRIES, OUTBOX.ENTRIES_AT, `[${type},${steps},${payload.encoding},${hasSection ? 1 : 0}],`);
      if (!hasSection) return;
      const byteLength = payload.write(this.#memory, OUTBOX.SECTIONS_AT + words[OUTBOX.SECTIONS]);
      words[OUTBOX.SECTIONS] += byteLength;
      this.#append(OUTBOX.LENGTHS, OUTBOX.LENGTHS_AT, `${byteLength},`);
    } finally {
      this.#unlock();
    }
  }

  /** Writes all results. */
  flush(): void {
    if (Atomics.load(this.#words, OUTBOX.COUNT) === 0) return;
    this.#lock();
    try {
      this.#writeAll();
    } finally {
      this.#unlock();
    }
  }

  /** Writes all results, and then a message. */
  say(header: readonly unknown[], ...payloads: EncodedSections[]): void {
    this.#lock();
    try {
      this.#writeAll(encodeMessage(header, ...payloads));
    } finally {
      this.#unlock();
    }
  }

  #hasRoom(room: number): boolean {
    const words = this.#words;
    return words[OUTBOX.ENTRIES] + ENTRY_BYTES <= OUTBOX.LENGTHS_AT - OUTBOX.ENTRIES_AT &&
      words[OUTBOX.LENGTHS] + ENTRY_BYTES <= OUTBOX.SECTIONS_AT - OUTBOX.LENGTHS_AT &&
      words[OUTBOX.SECTIONS] + room <= OUTBOX.END - OUTBOX.SECTIONS_AT;
  }

  #append(word: number, area: number, text: string): void {
    const { bytes } = this.#memory;
    const at = area + this.#words[word];
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
    this.#words[word] += text.length;
  }

  #writeAll(more: readonly Uint8Array[] = []): void {
    const words = this.#words;
    const parts = words[OUTBOX.COUNT] === 0 ? more : [...this.#take(), ...more];
    // Before it is written: what fails half-way would be no better the second time.
    words.fill(0, OUTBOX.FIRST);
    if (parts.length > 0) this.#packets!.write(parts);
  }

  #take(): Uint8Array[] {
    const words = this.#words;
    const { bytes } = this.#memory;
    const area = (word: number, at: number, comma = 0) => bytes.slice(at, at + words[word] - comma);
    const textOf = (word: number, at: number) => decoder.decode(area(word, at, words[word] > 0 ? 1 : 0));
    const entries = textOf(OUTBOX.ENTRIES, OUTBOX.ENTRIES_AT);
    const lengths = textOf(OUTBOX.LENGTHS, OUTBOX.LENGTHS_AT);
    return [
      encoder.encode(`\x1e["results",${words[OUTBOX.FIRST]},[${entries}],[${lengths}]]\n`),
      area(OUTBOX.SECTIONS, OUTBOX.SECTIONS_AT),
    ];
  }

  #lock(): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, OUTBOX.LOCK, 0, 1) === 0) return;
    while (Atomics.exchange(words, OUTBOX.LOCK, 2) !== 0) Atomics.wait(words, OUTBOX.LOCK, 2);
  }

  #unlock(): void {
    if (Atomics.exchange(this.#words, OUTBOX.LOCK, 0) === 2) Atomics.notify(this.#words, OUTBOX.LOCK, 1);
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether a block is a number or a short text, or nothing. */
function isSmall({ encoding, room }: Encoded): boolean {
  return room <= 256 &&
    (encoding === Encoding.NONE || encoding === Encoding.NUMBER || encoding === Encoding.JSON ||
      encoding === Encoding.TEXT);
}
