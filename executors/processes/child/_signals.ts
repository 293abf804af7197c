/**
 * The signals among the arguments of tasks, as a child knows them. The thread that reads the input notes in shared
 * memory which ones were aborted, and the main thread looks there, also while it computes.
 *
 * @module
 */

import { Atomics } from "../../../futures/builtins.ts";
import { abortMemory, createSignalMemory, MAX_REASON_BYTES } from "../../_values/signal_memory.ts";
import { pollSignalsBy } from "../../_values/signals.ts";

/** The memory: a count, and the last ones: more than a child has tasks at once. */
export const NOTED = {
  ENTRIES: 512,
  ENTRIES_AT: 8,
  /** A number, a length, and the text of the reason. */
  ENTRY_BYTES: 8 + MAX_REASON_BYTES,
} as const;

/** How many signals are kept whose tasks have not come: as many as a child has tasks at once, or more. */
const MAX_EARLY = 512;

const encoder = new TextEncoder();

/** Makes the memory. */
export function createNoted(): SharedArrayBuffer {
  return new SharedArrayBuffer(NOTED.ENTRIES_AT + NOTED.ENTRIES * NOTED.ENTRY_BYTES);
}

/** Notes that a signal was aborted. The reading thread gets the text of this function. */
export function noteSignal(memory: SharedArrayBuffer, LAYOUT: typeof NOTED, number: number, reason: Uint8Array): void {
  const count = new Int32Array(memory, 0, 1);
  const at = LAYOUT.ENTRIES_AT + (count[0] & (LAYOUT.ENTRIES - 1)) * LAYOUT.ENTRY_BYTES;
  const entry = new Int32Array(memory, at, 2);
  const length = Math.min(reason.length, LAYOUT.ENTRY_BYTES - 8);
  new Uint8Array(memory, at + 8).set(reason.subarray(0, length));
  entry[0] = number;
  entry[1] = length;
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
}

/** The signals of the tasks that this child has. */
export class SignalTable {
  readonly #noted: SharedArrayBuffer;
  readonly #count: Int32Array;
  readonly #memories = new Map<number, { readonly memory: SharedArrayBuffer; users: number }>();
  /** Those that were aborted before their task has come, and the texts of their reasons. */
  readonly #early = new Map<number, Uint8Array>();
  #seen = 0;
  #isListening = false;

  constructor(noted: SharedArrayBuffer) {
    this.#noted = noted;
    this.#count = new Int32Array(noted, 0, 1);
    pollSignalsBy(() => this.#take());
  }

  /** A task has come: the memory of its signals. */
  enter(numbers: readonly number[]): SharedArrayBuffer[] {
    if (!this.#isListening) void this.#listen();
    return numbers.map((number) => {
      let known = this.#memories.get(number);
      if (known === undefined) this.#memories.set(number, known = { memory: createSignalMemory(), users: 0 });
      known.users++;
      const reason = this.#early.get(number);
      if (reason !== undefined) abortMemory(known.memory, reason);
      this.#early.delete(number);
      return known.memory;
    });
  }

  /** A task has gone. */
  leave(numbers: readonly number[]): void {
    for (const number of numbers) {
      const known = this.#memories.get(number);
      if (known !== undefined && --known.users === 0) this.#memories.delete(number);
    }
  }

  /** Takes in what the reading thread has noted. */
  #take(): void {
    const count = Atomics.load(this.#count, 0);
    for (; this.#seen !== count; this.#seen = (this.#seen + 1) | 0) {
      const at = NOTED.ENTRIES_AT + (this.#seen & (NOTED.ENTRIES - 1)) * NOTED.ENTRY_BYTES;
      const [number, length] = new Int32Array(this.#noted, at, 2);
      const reason = new Uint8Array(this.#noted, at + 8, length).slice();
      this.#abort(number, reason);
    }
  }

  /**
   * A signal was aborted, as the main thread reads it: it may come to the task that follows before the reading thread
   * has noted this.
   */
  hear(number: number, reason: string): void {
    this.#abort(number, encoder.encode(reason));
  }

  #abort(number: number, reason: Uint8Array): void {
    const known = this.#memories.get(number);
    if (known !== undefined) {
      abortMemory(known.memory, reason);
      return;
    }
    // Or none of its tasks is left.
    this.#early.set(number, reason);
    if (this.#early.size > MAX_EARLY) this.#early.delete(this.#early.keys().next().value!);
  }

  async #listen(): Promise<never> {
    this.#isListening = true;
    for (;;) {
      const wait = Atomics.waitAsync(this.#count, 0, this.#seen);
      if (wait.async) await wait.value;
      this.#take();
    }
  }
}
