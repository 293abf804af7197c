/**
 * The standard input of a child, which a thread of its own reads from its second task on. The end of the input, which
 * means the end of the parent, is noticed then also while a task computes.
 *
 * @module
 */

import { Atomics, Math, performance } from "../../../futures/builtins.ts";
import type { Look, Looker, Looking } from "./_answers.ts";

/** The words of the memory that both threads share. */
const HEAD = 0;
const TAIL = 1;
/** Whether the reading thread waits for room. */
const FULL = 2;
/** Whether the input has ended. */
const ENDED = 3;
const WORDS = 4;

/** Size of the memory for what was read and not yet taken: a power of two. */
const RING_BYTES = 1 << 18;

/** How much is read at once, at the most. */
const CHUNK_BYTES = 1 << 16;

/** How long the main thread looks for input before it sleeps: waking it up takes about as long. */
const SPIN_MS = 0.05;
/** After how many looks in a row that found nothing, it looks less often. */
const MAX_VAIN = 8;

/** How long a child may take to end when its input has ended. */
const END_MS = 1_000;

/**
 * What the reading thread runs. Its text is sent as a `data:` URL, which needs no permission, so it uses nothing from
 * around it.
 *
 * It passes the input on, and shows it to `look`, which answers what this thread has to. When the input ends, or nobody
 * reads these answers any more, the main thread has a while to end the process. One that computes does not: then this
 * thread kills it, as it does when somebody else has read a part of the input.
 */
function readLoop(
  WORDS: number,
  RING_BYTES: number,
  CHUNK: number,
  END_MS: number,
  makeLooker: (...args: readonly unknown[]) => Looker,
): void {
  const [HEAD, TAIL, FULL, ENDED] = [0, 1, 2, 3];
  const { stdin, kill, pid } = Deno;

  /** Passes the input on until it ends; `false` when somebody else has read a part of it. */
  async function pass(words: Int32Array, ring: Uint8Array, look: Look): Promise<boolean> {
    let tail = 0;
    /** What was read and has found no room. */
    const waiting: Uint8Array[] = [];
    let isPutting = false;

    /** Where the next bytes go: one piece of memory with room for at most `most` bytes. */
    function target(most: number, head = Atomics.load(words, HEAD)): Uint8Array {
      const at = tail & (RING_BYTES - 1);
      const free = RING_BYTES - ((tail - head) | 0);
      return ring.subarray(at, at + Math.min(most, free, RING_BYTES - at));
    }

    function publish(count: number): void {
      tail = (tail + count) | 0;
      Atomics.store(words, TAIL, tail);
      Atomics.notify(words, TAIL);
    }

    /** Puts what waits where there is room, as the main thread makes it. */
    async function put(): Promise<void> {
      isPutting = true;
      while (waiting.length > 0) {
        const head = Atomics.load(words, HEAD);
        const bytes = target(waiting[0].length, head);
        if (bytes.length === 0) {
          Atomics.store(words, FULL, 1);
          const wait = Atomics.waitAsync(words, HEAD, head);
          if (wait.async) await wait.value;
          Atomics.store(words, FULL, 0);
          continue;
        }
        bytes.set(waiting[0].subarray(0, bytes.length));
        publish(bytes.length);
        waiting[0] = waiting[0].subarray(bytes.length);
        if (waiting[0].length === 0) waiting.shift();
      }
      isPutting = false;
    }

    for (const chunk = new Uint8Array(CHUNK);;) {
      // Quicker than to await it, and takes no copy.
      for (let bytes; !isPutting && (bytes = target(CHUNK)).length > 0;) {
        const count = stdin.readSync(bytes);
        if (count === null) return true;
        publish(count);
        if (!look(bytes.subarray(0, count))) return false;
      }
      // The main thread computes and takes nothing. This thread reads on all the same, because the input may end, or
      // hold what this thread has to answer.
      const count = await stdin.read(chunk);
      if (count === null) return true;
      waiting.push(chunk.slice(0, count));
      if (!isPutting) void put();
      if (!look(chunk.subarray(0, count))) return false;
    }
  }

  self.addEventListener("message", async (event) => {
    const [memory, ...args] = (event as MessageEvent<[SharedArrayBuffer, ...unknown[]]>).data;
    const words = new Int32Array(memory, 0, WORDS);
    let isWhole = true;
    try {
      isWhole = await pass(words, new Uint8Array(memory, WORDS * 4, RING_BYTES), makeLooker(...args).look);
    } catch {
      // Nobody reads any more what this process writes.
    }
    if (isWhole) {
      Atomics.store(words, ENDED, 1);
      Atomics.notify(words, ENDED);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, END_MS);
    kill(pid, "SIGKILL");
  });
}

/** Kept, because it is hidden from tasks, or a task may replace it. */
const read = Deno.stdin.read.bind(Deno.stdin);
const readSync = Deno.stdin.readSync.bind(Deno.stdin);
const Thread = Worker;
const { postMessage } = Worker.prototype;
const SharedMemory = SharedArrayBuffer;

/**
 * The input of this process. Its main thread reads it at first, when it does nothing else. From {@linkcode attend} on a
 * thread of its own does: to start that takes as long as Deno itself.
 */
export class Stdin {
  readonly #program: string;
  readonly #looking: Looking;
  readonly #onEnd: () => void;
  /** Where the main thread reads to. */
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #isReading = false;
  #thread: ReadingThread | undefined;

  /**
   * @param looking How who reads the input looks at it, and answers.
   * @param onEnd Called when the input has ended, also while a task awaits something; it must end the process.
   */
  constructor(looking: Looking, onEnd: () => void) {
    const program = `(${readLoop})(${[WORDS, RING_BYTES, CHUNK_BYTES, END_MS]}, ${looking.text})`;
    this.#program = `data:application/javascript,${encodeURIComponent(program)}`;
    this.#looking = looking;
    this.#onEnd = onEnd;
  }

  /** Whether a thread of its own reads it. */
  get isAttended(): boolean {
    return this.#thread !== undefined;
  }

  /** Tells the broker that somebody else has read a part of it. */
  sayLost(): void {
    this.#looking.looker.sayLost();
  }

  /**
   * Waits for input.
   *
   * @param take Is given what there is, and must copy it.
   * @throws {RangeError} Somebody else has read a part of it.
   */
  async next(take: (bytes: Uint8Array) => void): Promise<void> {
    if (this.#thread !== undefined) {
      await this.#thread.wait();
      this.#thread.read(take);
      return;
    }
    this.#isReading = true;
    const count = await read(this.#chunk);
    this.#isReading = false;
    this.#take(count, take);
  }

  #take(count: number | null, take: (bytes: Uint8Array) => void): void {
    if (count === null) return this.#onEnd();
    const bytes = this.#chunk.subarray(0, count);
    if (!this.#looking.looker.look(bytes)) throw new RangeError("A part of the standard input is missing");
    take(bytes);
  }

  /**
   * Has a thread read the input from now on.
   *
   * @param take Is given what is left of a message of which the main thread has read a part.
   * @returns Whether that thread has started now: not where it had, or the main thread waits for input.
   */
  attend(take: (bytes: Uint8Array) => void): boolean {
    if (this.#thread !== undefined || this.#isReading) return false;
    const { looker, memory } = this.#looking;
    let seen = looker.seen();
    for (; seen === undefined; seen = looker.seen()) this.#take(readSync(this.#chunk), take);
    this.#thread = new ReadingThread(this.#program, [seen, ...memory], this.#onEnd);
    return true;
  }
}

/** The thread that reads the input, as the main thread sees it. */
class ReadingThread {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #head = 0;
  #vain = 0;

  /** Starts it. */
  constructor(program: string, args: readonly unknown[], onEnd: () => void) {
    const memory = new SharedMemory(WORDS * 4 + RING_BYTES);
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#bytes = new Uint8Array(memory, WORDS * 4, RING_BYTES);
    const reader = new Thread(program, { type: "module", name: "stdin" });
    postMessage.call(reader, [memory, ...args]);
    const end = Atomics.waitAsync(this.#words, ENDED, 0);
    if (end.async) void end.value.then(onEnd);
    else onEnd();
  }

  /** Waits for input: a short while looking for it, then in the event loop. */
  async wait(): Promise<void> {
    const words = this.#words;
    if (this.#spin()) return;
    while (Atomics.load(words, TAIL) === this.#head) {
      const wait = Atomics.waitAsync(words, TAIL, this.#head);
      if (wait.async) await wait.value;
    }
  }

  #spin(): boolean {
    const words = this.#words;
    if (Atomics.load(words, TAIL) !== this.#head) return true;
    if (this.#vain >= MAX_VAIN && this.#vain++ % MAX_VAIN !== 0) return false;
    const until = performance.now() + SPIN_MS;
    do {
      for (let i = 0; i < 16; i++) {
        if (Atomics.load(words, TAIL) === this.#head) continue;
        this.#vain = 0;
        return true;
      }
    } while (performance.now() < until);
    this.#vain++;
    return false;
  }

  /** Gives what there is to `take`, which must copy it. */
  read(take: (bytes: Uint8Array) => void): void {
    const words = this.#words;
    const available = (Atomics.load(words, TAIL) - this.#head) | 0;
    const at = this.#head & (RING_BYTES - 1);
    const part = this.#bytes.subarray(at, Math.min(at + available, RING_BYTES));
    take(part);
    this.#head = (this.#head + part.byteLength) | 0;
    Atomics.store(words, HEAD, this.#head);
    if (Atomics.load(words, FULL) === 1) Atomics.notify(words, HEAD);
  }
}
