/**
 * The results that a child has and has not written yet. A write takes longer than a quick task, so one write carries
 * many of them. They lie in memory that the main thread shares with the thread that reads the input: when a task turns
 * out not to be quick, the reading thread writes the results that came before it.
 *
 * @module
 */

import { Atomics } from "../../../futures/builtins.ts";
import { type Encoded, EncodedSections, Encoding } from "../../_values/encoded.ts";
import { Memory } from "../../_values/memory.ts";
import { encodeMessage } from "../messages.ts";
import type { PacketWriter } from "../packets.ts";

/**
 * Where things are in the memory: words, and where areas begin and end in bytes. All results together fit into one
 * packet.
 */
export const OUTBOX = {
  /** How many words there are. The first one is a lock: 0 free, 1 taken, 2 taken and waited for. */
  WORDS: 8,
  /** The number of the first task whose result is here, and of how many results. */
  FIRST: 1,
  COUNT: 2,
  /** How many bytes of the areas are in use. */
  ENTRIES: 3,
  LENGTHS: 4,
  SECTIONS: 5,
  /** JSON texts of what a header says of each result, and of the lengths of its sections, a comma after each. */
  ENTRIES_AT: 32,
  LENGTHS_AT: 32 + 1120,
  SECTIONS_AT: 32 + 1120 + 512,
  END: 32 + 1120 + 512 + 2048,
} as const;

/** More than an entry takes. */
const ENTRY_BYTES = 96;

/** What the number of those takes that are as the last entry says, and how many these are at the most. */
const ALIKE_BYTES = 4;
const MAX_ALIKE = 999;

/** More than the lengths of an entry with a single section take. */
const LENGTHS_BYTES = 32;

/** The main thread's side. */
export class Outbox {
  readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(OUTBOX.END);
  readonly #words = new Int32Array(this.buffer, 0, OUTBOX.WORDS);
  readonly #memory = new Memory(this.buffer);
  #packets: PacketWriter | undefined;
  /** The last result of which there is an entry, unless it was measured, and how many more are alike. */
  #lastType = 0;
  #lastSteps = 0;
  #lastEncoding = -1;
  #alike = 0;

  /** Says where to write. Must be called before anything is written. */
  open(packets: PacketWriter): void {
    this.#packets = packets;
  }

  /**
   * Takes in what became of a task; the next one has the next number. Large ones are written at once.
   *
   * @param times When it began and how long it took, where that is measured.
   */
  add(id: number, type: number, payload: Encoded, steps: number, times?: readonly [began: number, ms: number]): void {
    if (!isSmall(payload)) {
      const encoded = EncodedSections.from(payload);
      this.say(["results", id, [[type, steps, encoded.encoding, encoded.sections.length, ...times ?? []]]], encoded);
      encoded.giveBack();
      return;
    }
    const { encoding } = payload;
    const words = this.#words;
    lock(this.#words);
    try {
      if (!this.#hasRoom(payload.room)) this.#writeAll();
      if (words[OUTBOX.COUNT]++ === 0) {
        words[OUTBOX.FIRST] = id;
        this.#lastEncoding = -1;
      }
      const isAlike = encoding === this.#lastEncoding && type === this.#lastType && steps === this.#lastSteps;
      if (isAlike && times === undefined && this.#alike < MAX_ALIKE) this.#countAlike();
      else {
        const when = times === undefined ? "" : `,${times[0]},${times[1]}`;
        const entry = `[${type},${steps},${encoding},${encoding === Encoding.NONE ? 0 : 1}${when}],`;
        this.#append(OUTBOX.ENTRIES, OUTBOX.ENTRIES_AT, entry);
        this.#lastType = type;
        this.#lastSteps = steps;
        this.#lastEncoding = times === undefined ? encoding : -1;
        this.#alike = 0;
      }
      if (encoding === Encoding.NONE) return;
      const byteLength = payload.write(this.#memory, OUTBOX.SECTIONS_AT + words[OUTBOX.SECTIONS]);
      words[OUTBOX.SECTIONS] += byteLength;
      this.#append(OUTBOX.LENGTHS, OUTBOX.LENGTHS_AT, `${byteLength},`);
    } finally {
      unlock(this.#words);
    }
  }

  /** Writes all results, or waits until the reading thread has written them. */
  flush(): void {
    // In this order: who has taken all results has not written them before it gives back the lock.
    if (Atomics.load(this.#words, OUTBOX.COUNT) === 0 && Atomics.load(this.#words, 0) === 0) return;
    lock(this.#words);
    try {
      this.#writeAll();
    } finally {
      unlock(this.#words);
    }
  }

  /** Writes all results, and then a message. */
  say(header: readonly unknown[], ...payloads: EncodedSections[]): void {
    lock(this.#words);
    try {
      this.#writeAll(encodeMessage(header, ...payloads));
    } finally {
      unlock(this.#words);
    }
  }

  /** Says of one more that it is as the last entry says: by a number behind that, which always takes as much room. */
  #countAlike(): void {
    const before = this.#alike === 0 ? 0 : ALIKE_BYTES;
    const text = `${String(++this.#alike).padStart(ALIKE_BYTES - 1)},`;
    this.#append(OUTBOX.ENTRIES, OUTBOX.ENTRIES_AT, text, before);
  }

  #hasRoom(room: number): boolean {
    const words = this.#words;
    return words[OUTBOX.ENTRIES] + ENTRY_BYTES <= OUTBOX.LENGTHS_AT - OUTBOX.ENTRIES_AT &&
      words[OUTBOX.LENGTHS] + LENGTHS_BYTES <= OUTBOX.SECTIONS_AT - OUTBOX.LENGTHS_AT &&
      words[OUTBOX.SECTIONS] + room <= OUTBOX.END - OUTBOX.SECTIONS_AT;
  }

  /** @param over How many of the last bytes to write over. */
  #append(word: number, area: number, text: string, over = 0): void {
    const { bytes } = this.#memory;
    const at = area + this.#words[word] - over;
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
    this.#words[word] += text.length - over;
  }

  #writeAll(more: readonly Uint8Array[] = []): void {
    const words = this.#words;
    // Taken out before they are written: what fails half-way would be no better the second time.
    const parts = words[OUTBOX.COUNT] === 0 ? more : [takeResults(words, OUTBOX), ...more];
    if (parts.length > 0) this.#packets!.write(parts);
  }
}

// The reading thread gets the texts of the following functions, so they use nothing of this module.

/** Takes the lock of an outbox, or waits for it. */
export function lock(words: Int32Array): void {
  if (Atomics.compareExchange(words, 0, 0, 1) === 0) return;
  while (Atomics.exchange(words, 0, 2) !== 0) Atomics.wait(words, 0, 2);
}

export function unlock(words: Int32Array): void {
  if (Atomics.exchange(words, 0, 0) === 2) Atomics.notify(words, 0, 1);
}

/** Takes all results out of an outbox whose lock is held, as the bytes of one message. */
export function takeResults(words: Int32Array, LAYOUT: typeof OUTBOX): Uint8Array {
  const bytes = new Uint8Array(words.buffer);
  const start = `\x1e["results",${words[LAYOUT.FIRST]},[`;
  // A list of texts ends with a comma that it does not want.
  const entries = words[LAYOUT.ENTRIES] - 1;
  const lengths = words[LAYOUT.LENGTHS] > 0 ? words[LAYOUT.LENGTHS] - 1 : 0;
  const sections = words[LAYOUT.SECTIONS];
  const message = new Uint8Array(start.length + entries + 3 + lengths + 3 + sections);
  let at = 0;
  const addText = (text: string) => {
    for (let i = 0; i < text.length; i++) message[at++] = text.charCodeAt(i);
  };
  // Most are short: to copy their bytes takes less time than to make an array that stands for them.
  const addBytes = (from: number, count: number) => {
    for (let i = 0; i < count; i++) message[at++] = bytes[from + i];
  };
  addText(start);
  addBytes(LAYOUT.ENTRIES_AT, entries);
  addText("],[");
  addBytes(LAYOUT.LENGTHS_AT, lengths);
  addText("]]\n");
  addBytes(LAYOUT.SECTIONS_AT, sections);
  words.fill(0, LAYOUT.FIRST);
  return message;
}

/** Whether a block is a number or a short text, or nothing. */
function isSmall({ encoding, room }: Encoded): boolean {
  return room <= 256 &&
    (encoding === Encoding.NONE || encoding === Encoding.NUMBER || encoding === Encoding.JSON ||
      encoding === Encoding.TEXT);
}
