/**
 * The signals among the arguments of tasks. An executor numbers them, and jobs carry the numbers. When one is aborted,
 * its executor notes that on the server, and then says it on the channel on which all nodes listen. A node that begins
 * a job looks at the server after it has begun to listen, so it misses neither.
 *
 * @module
 */

import type { Redis } from "ioredis";
import { abortMemory, MAX_REASON_BYTES, whenAborted } from "../_values/signal_memory.ts";
import { memoryOf } from "../_values/signals.ts";
import { type Address, keyStart } from "./_address.ts";
import { controlChannel, type ControlMessage } from "./_messages.ts";

/** For how many milliseconds the server keeps the note: it is made again while there are tasks. */
const NOTE_MS = 60_000;

/** The key of the note that says why a signal was aborted. */
function noteKey(start: string, executor: string, signal: number): string {
  return `${start}signal:${executor}-${signal}`;
}

/** A signal that an executor's broker follows. */
interface Followed {
  readonly number: number;
  /** How many tasks under way have it. */
  users: number;
  readonly callOff: () => void;
  /** The text of the reason, when it was aborted. */
  reason?: string;
}

/** The signals of an executor's tasks that are under way. */
export class SentSignals {
  readonly #client: Redis;
  readonly #address: Address;
  readonly #executor: string;
  readonly #followed = new Map<SharedArrayBuffer, Followed>();
  #last = 0;

  constructor(client: Redis, address: Address, executor: string) {
    this.#client = client;
    this.#address = address;
    this.#executor = executor;
  }

  /** A task is sent next: the numbers of its signals. */
  begin(memories: readonly SharedArrayBuffer[]): number[] {
    return memories.map((memory) => {
      let followed = this.#followed.get(memory);
      if (followed === undefined) this.#followed.set(memory, followed = this.#follow(memory));
      followed.users++;
      return followed.number;
    });
  }

  #follow(memory: SharedArrayBuffer): Followed {
    const number = ++this.#last;
    const followed: Followed = { number, users: 0, callOff: () => callOff() };
    // May call at once: then the note is on its way before the job is.
    const callOff = whenAborted(memory, (reason) => {
      followed.reason = reason;
      this.#tell(number, reason);
    });
    return followed;
  }

  /** A task is done. */
  forget(memories: readonly SharedArrayBuffer[]): void {
    for (const memory of memories) {
      const followed = this.#followed.get(memory);
      if (followed === undefined || --followed.users > 0) continue;
      followed.callOff();
      this.#followed.delete(memory);
    }
  }

  /** Says once more what was aborted, as it may have been lost. */
  tellAgain(): void {
    for (const { number, reason } of this.#followed.values()) if (reason !== undefined) this.#tell(number, reason);
  }

  #tell(signal: number, reason: string): void {
    const { prefix, queue } = this.#address;
    const control: ControlMessage = { what: "signal", executor: this.#executor, signal, reason };
    this.#client.set(noteKey(keyStart(this.#address), this.#executor, signal), reason, "PX", NOTE_MS).catch(() => {});
    this.#client.publish(controlChannel(prefix, queue), JSON.stringify(control)).catch(() => {});
  }
}

/** A signal that a node has. */
interface Received {
  /** Never aborted itself: its memory says so, which processes look at. */
  readonly signal: AbortSignal;
  /** How many of this node's tasks have it. */
  users: number;
}

const encoder = new TextEncoder();

/** The signals of a node's tasks. */
export class ReceivedSignals {
  readonly #client: Redis;
  readonly #start: string;
  readonly #received = new Map<string, Received>();

  constructor(client: Redis, address: Address) {
    this.#client = client;
    this.#start = keyStart(address);
  }

  /** A task has come: its signals, those that were aborted before are so. */
  async enter(executor: string, numbers: readonly number[]): Promise<AbortSignal[]> {
    const keys = numbers.map((number) => noteKey(this.#start, executor, number));
    const signals = keys.map((key) => {
      let received = this.#received.get(key);
      if (received === undefined) {
        this.#received.set(key, received = { signal: new AbortController().signal, users: 0 });
      }
      received.users++;
      return received.signal;
    });
    try {
      // Now: what is said from now on is heard.
      const reasons = await this.#client.mget(keys);
      for (const [i, reason] of reasons.entries()) if (reason !== null) abort(signals[i], reason);
    } catch {
      // Its executor says it again.
    }
    return signals;
  }

  /** A task has gone. */
  leave(executor: string, numbers: readonly number[]): void {
    for (const number of numbers) {
      const key = noteKey(this.#start, executor, number);
      const received = this.#received.get(key);
      if (received !== undefined && --received.users === 0) this.#received.delete(key);
    }
  }

  /** An executor says that one was aborted. */
  hear(executor: string, number: number, reason: string): void {
    const received = this.#received.get(noteKey(this.#start, executor, number));
    if (received !== undefined) abort(received.signal, reason);
  }
}

/** Notes that a signal was aborted. The reason may come from anybody who can write to the server. */
function abort(signal: AbortSignal, reason: string): void {
  const bytes = encoder.encode(reason);
  abortMemory(memoryOf(signal), bytes.length <= MAX_REASON_BYTES ? bytes : new Uint8Array(0));
}
