/**
 * Three classics of threads that wait for each other: a bounded buffer, readers and writers, the dining philosophers.
 *
 * ```sh
 * deno run -P examples/sync.ts
 * deno run -P examples/sync.ts philosophers --meals 1000
 * ```
 *
 * Python has the objects of these programs in `queue` and `threading`. Here they cross to the threads as arguments, and
 * each thread gets the same one.
 *
 * @module
 */

import { ThreadPoolExecutor } from "@concurrent/futures";
import { Barrier, Condition, Lock, Queue } from "@concurrent/futures/sync";
import { commandLine, oneOf, readOptions, runParts, wholeNumber } from "./_options.ts";

/** No part waits for longer, in milliseconds: a program that hangs tells nobody why. */
const BOUND = 60_000;

interface Settings {
  items: number;
  meals: number;
}

// A bounded buffer: who puts something in waits while it is full, and who takes something out while it is empty.

/** Puts numbers into the buffer. */
export function produce(buffer: Queue<number>, first: number, count: number): void {
  for (let n = first; n < first + count; n++) buffer.put(n, BOUND);
}

/** Takes numbers out until the buffer is shut down and empty; returns how many, and their sum. */
export function consume(buffer: Queue<number>): { count: number; sum: number } {
  let [count, sum] = [0, 0];
  for (const n of buffer) {
    count++;
    sum += n;
    buffer.taskDone();
  }
  return { count, sum };
}

async function passItems({ items }: Settings): Promise<void> {
  console.log("Two producers and two consumers share a buffer with room for ten");
  const buffer = new Queue<number>(10);
  await using pool = new ThreadPoolExecutor(4);
  const consumers = [1, 2].map(() => pool.submit(consume, buffer));
  const producers = [1, 1 + items].map((first) => pool.submit(produce, buffer, first, items));
  await Promise.all(producers);
  await buffer.joinAsync(BOUND); // each item is done
  buffer.shutdown();
  const [a, b] = await Promise.all(consumers);
  console.log(`${a.count + b.count} items came out, and none twice: their sum is ${a.sum + b.sum}`);
}

// Readers and writers: many may read at once, but who writes is alone. A writer that waits keeps new readers out.

/** Lets many readers in, or one writer. */
class ReadWriteLock {
  readonly #changed: Condition;
  /** How many read, how many write, and how many wait to write. */
  readonly #counts: Int32Array;

  constructor(changed: Condition, counts: Int32Array) {
    this.#changed = changed;
    this.#counts = counts;
  }

  read<T>(action: () => T): T {
    const counts = this.#counts;
    this.#when(() => counts[1] === 0 && counts[2] === 0, () => counts[0]++);
    try {
      return action();
    } finally {
      this.#when(() => true, () => counts[0]--);
    }
  }

  write<T>(action: () => T): T {
    const counts = this.#counts;
    this.#when(() => true, () => counts[2]++);
    this.#when(() => counts[0] === 0 && counts[1] === 0, () => {
      counts[2]--;
      counts[1]++;
    });
    try {
      return action();
    } finally {
      this.#when(() => true, () => counts[1]--);
    }
  }

  /** Changes the counts when they allow it. */
  #when(isAllowed: () => boolean, change: () => void): void {
    using _ = this.#changed.hold(BOUND);
    if (!this.#changed.waitFor(isAllowed, BOUND)) throw new Error("Nobody lets go of the lock");
    change();
    this.#changed.notifyAll();
  }
}

/** Reads a page whose numbers must all be the same; returns how often they were not. */
export function read(changed: Condition, counts: Int32Array, page: Int32Array, times: number): number {
  const lock = new ReadWriteLock(changed, counts);
  let torn = 0;
  for (let i = 0; i < times; i++) torn += lock.read(() => page.every((n) => n === page[0]) ? 0 : 1);
  return torn;
}

/** Counts up all numbers of the page, one after the other. */
export function write(changed: Condition, counts: Int32Array, page: Int32Array, times: number): void {
  const lock = new ReadWriteLock(changed, counts);
  for (let i = 0; i < times; i++) {
    lock.write(() => {
      for (let at = 0; at < page.length; at++) page[at]++;
    });
  }
}

async function readAndWrite({ items }: Settings): Promise<void> {
  console.log("Three readers and two writers share a page of 20000 numbers");
  const changed = new Condition(new Lock());
  const counts = new Int32Array(new SharedArrayBuffer(12));
  const page = new Int32Array(new SharedArrayBuffer(80_000));
  await using pool = new ThreadPoolExecutor(5);
  const writers = [1, 2].map(() => pool.submit(write, changed, counts, page, items));
  const readers = [1, 2, 3].map(() => pool.submit(read, changed, counts, page, items));
  const torn = (await Promise.all(readers)).reduce((a, b) => a + b);
  await Promise.all(writers);
  console.log(`each number was counted up to ${page[0]}, and ${torn} of ${3 * items} readers saw half a change`);
}

// The dining philosophers: each one needs the two forks beside the plate, and shares them with the neighbours.

const NAMES = ["Aristotle", "Buddha", "Confucius", "Descartes", "Epicurus"];

/** Eats so many meals. Who takes the fork with the lower number first can never wait in a circle. */
export function dine(table: Barrier, forks: Lock[], seat: number, meals: number): number {
  const [first, second] = [seat, (seat + 1) % forks.length].sort((a, b) => a - b);
  table.wait(BOUND); // nobody begins before all are there
  let eaten = 0;
  while (eaten < meals) {
    using _first = forks[first].hold(BOUND);
    using _second = forks[second].hold(BOUND);
    eaten++;
  }
  return eaten;
}

async function eat({ meals }: Settings): Promise<void> {
  console.log(`Five philosophers share five forks, and each one wants ${meals} meals`);
  const table = new Barrier(NAMES.length);
  const forks = NAMES.map(() => new Lock());
  await using pool = new ThreadPoolExecutor(NAMES.length);
  const futures = NAMES.map((_, seat) => pool.submit(dine, table, forks, seat, meals));
  for (const [seat, future] of futures.entries()) console.log(`${NAMES[seat].padEnd(9)} ate ${await future} times`);
}

const PARTS = { buffer: passItems, readers: readAndWrite, philosophers: eat };

export const COMMAND = commandLine({
  about: "Let threads share a buffer, a page and forks. Without a PART, it runs all three.",
  command: "deno run -P examples/sync.ts",
  example: "philosophers --meals 1000",
  operands: {
    value: "PART",
    text: Object.keys(PARTS).join(", "),
    reads: oneOf(Object.keys(PARTS) as (keyof typeof PARTS)[]),
  },
  options: {
    items: {
      value: "N",
      text: "how many items each producer makes, and how often each reader reads",
      reads: wholeNumber(1, 1_000_000),
      default: "2000",
    },
    meals: {
      value: "N",
      text: "how often each philosopher eats",
      reads: wholeNumber(1, 1_000_000),
      default: "500",
    },
  },
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) {
  const { operands, ...settings } = readOptions(COMMAND);
  await runParts(PARTS, operands, settings);
}
