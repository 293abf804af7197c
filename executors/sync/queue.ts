/**
 * Queues: three classes with one body.
 *
 * @module
 */

import { Math } from "../../futures/builtins.ts";
import { checkCount } from "../../futures/check.ts";
import { deadlineAfter } from "../../futures/deadline.ts";
import { inspect } from "../../futures/inspect.ts";
import { decodeValue, encodeValue } from "../_values/codec.ts";
import type { Encoded } from "../_values/encoded.ts";
import { QueueShutDownError } from "./errors.ts";
import { Items, type Order } from "./_items.ts";
import { isGiven, place, sharedClass } from "./_object.ts";
import { awaited, block } from "./_pause.ts";
import { QUEUE_WORDS, QueueCore, type Taken } from "./_queue_core.ts";

/** Options of a {@linkcode Queue}. */
export interface QueueOptions {
  /**
   * How much memory the items may take at the most, in bytes. It is taken from the system when it is used. While there
   * is no room for an item, `put` waits as if the queue was full.
   *
   * @default {67_108_864}
   */
  memory?: number;
}

const MEMORY_BYTES = 2 ** 26;
/** Places in memory are 32-bit numbers. */
const MAX_MEMORY_BYTES = 2 ** 30;

/**
 * A queue of items between threads: the first one in comes out first. It carries what arguments of tasks carry, but no
 * shared memory.
 *
 * Each item goes to one thread. Those who wait for an item get one in the order in which they came, and so do those who
 * wait for room.
 *
 * @example A producer and two consumers
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Queue } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<number>(10);
 * const sumUp = (queue: Queue<number>): number => {
 *   let sum = 0;
 *   for (const n of queue) sum += n; // until the queue is shut down and empty
 *   return sum;
 * };
 *
 * await using pool = new ThreadPoolExecutor(2);
 * const sums = [pool.submit(sumUp, queue), pool.submit(sumUp, queue)];
 * for (let n = 1; n <= 100; n++) await queue.putAsync(n);
 * queue.shutdown();
 * const [a, b] = await Promise.all(sums);
 * assertEquals(a + b, 5050);
 * ```
 *
 * @typeParam T The type of the items.
 * @see {@link https://docs.python.org/3/library/queue.html | Python's manual}
 */
export class Queue<T = unknown> implements Iterable<T>, AsyncIterable<T> {
  readonly #core: QueueCore;
  readonly #order: Order;

  /**
   * Makes a queue.
   *
   * @param maxsize How many items there can be at once. With 0 or less, which is the default, there is no limit.
   * @param options How much memory the items may take.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If `maxsize` is not an integer, or `memory` is out of range.
   */
  constructor(maxsize = 0, options: QueueOptions = {}) {
    const [kind, order] = this instanceof LifoQueue
      ? ["LifoQueue", "LIFO"] as const
      : this instanceof PriorityQueue
      ? ["PriorityQueue", "PRIORITY"] as const
      : ["Queue", "FIFO"] as const;
    const { memory = MEMORY_BYTES } = options;
    if (!isGiven()) {
      if (typeof maxsize !== "number") throw new TypeError(`The maxsize must be a number: ${inspect(maxsize)}`);
      if (!Number.isInteger(maxsize) || maxsize >= 2 ** 31) {
        throw new RangeError(`The maxsize must be an integer below 2 ** 31: ${maxsize}`);
      }
      checkCount("memory", memory);
      if (memory > MAX_MEMORY_BYTES) throw new RangeError(`The option memory must be at most 2 ** 30 bytes: ${memory}`);
    }
    const { words, isNew } = place(this, kind, Math.ceil((memory + QUEUE_WORDS * 4) / 8) * 8);
    this.#order = order;
    this.#core = new QueueCore(words, kind, order);
    if (isNew) this.#core.init(Math.max(maxsize, 0));
  }

  /** How many items there can be at once; 0 if there is no limit. */
  get maxsize(): number {
    return this.#core.maxsize;
  }

  /**
   * How many items there are. Other threads may have changed that when the call returns.
   *
   * @returns The number.
   */
  qsize(): number {
    return this.#core.size;
  }

  /**
   * Whether the queue has no items.
   *
   * @returns `true` if it has none.
   */
  empty(): boolean {
    return this.qsize() === 0;
  }

  /**
   * Whether the queue has as many items as it can have.
   *
   * @returns `true` if it has.
   */
  full(): boolean {
    return this.#core.full;
  }

  /**
   * Puts an item into the queue, and blocks the calling thread while the queue is full.
   *
   * @param item The item. It is copied.
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @throws {QueueFullError} If the queue is still full after the timeout.
   * @throws {QueueShutDownError} If the queue was shut down.
   * @throws {SerializationError} If the item cannot cross to another thread.
   * @throws {RangeError} If the item takes more memory than the queue has.
   */
  put(item: T, timeout?: number): void {
    const deadline = deadlineAfter(timeout);
    block(this.#core.put(...this.#encode(item), deadline));
  }

  /**
   * Puts an item into the queue, and waits without blocking the thread while the queue is full.
   *
   * @param item The item. It is copied before the call returns.
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns A promise that resolves when the item is in the queue. It rejects as
   * {@linkcode Queue.prototype.put | put} throws.
   */
  async putAsync(item: T, timeout?: number): Promise<void> {
    const deadline = deadlineAfter(timeout);
    await awaited(this.#core.put(...this.#encode(item), deadline));
  }

  /**
   * Puts an item into the queue if it is not full: `put(item, 0)`.
   *
   * @param item The item. It is copied.
   * @throws {QueueFullError} If the queue is full.
   */
  putNowait(item: T): void {
    this.put(item, 0);
  }

  /**
   * Takes an item out of the queue, and blocks the calling thread until there is one.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns The item.
   * @throws {QueueEmptyError} If there is still no item after the timeout.
   * @throws {QueueShutDownError} If the queue was shut down and is empty.
   */
  get(timeout?: number): T {
    return this.#decode(block(this.#core.get(deadlineAfter(timeout))));
  }

  /**
   * Takes an item out of the queue, and waits for it without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns The item. Rejects as {@linkcode Queue.prototype.get | get} throws.
   */
  async getAsync(timeout?: number): Promise<T> {
    return this.#decode(await awaited(this.#core.get(deadlineAfter(timeout))));
  }

  /**
   * Takes an item out of the queue if there is one: `get(0)`.
   *
   * @returns The item.
   * @throws {QueueEmptyError} If the queue is empty.
   */
  getNowait(): T {
    return this.get(0);
  }

  /**
   * Says that an item that was taken out is done: see {@linkcode Queue.prototype.join | join}.
   *
   * @throws {InvalidStateError} If it is called more often than items were put in. Python throws a `ValueError`.
   */
  taskDone(): void {
    block(this.#core.taskDone());
  }

  /**
   * Blocks the calling thread until {@linkcode Queue.prototype.taskDone | taskDone} was called for each item that was
   * put in.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether all are done; `false` after the timeout.
   */
  join(timeout?: number): boolean {
    return block(this.#core.join(deadlineAfter(timeout)));
  }

  /**
   * Waits until all items are done, without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether all are done; `false` after the timeout.
   */
  async joinAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#core.join(deadlineAfter(timeout)));
  }

  /**
   * Shuts the queue down: each `put` throws a {@linkcode QueueShutDownError} from now on, and so does each `get` when
   * the queue is empty. Calls that wait throw it at once.
   *
   * @param immediate Whether to drop the items that are in the queue. They count as done.
   */
  shutdown(immediate = false): void {
    block(this.#core.shutDown(immediate));
  }

  /** Takes items out, and blocks the thread while there is none, until the queue is shut down and empty. */
  *[Symbol.iterator](): Generator<T, void, void> {
    for (;;) {
      let item: T;
      try {
        item = this.get();
      } catch (error) {
        if (error instanceof QueueShutDownError) return;
        throw error;
      }
      yield item;
    }
  }

  /** Takes items out, and waits for them without blocking, until the queue is shut down and empty. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      let item: T;
      try {
        item = await this.getAsync();
      } catch (error) {
        if (error instanceof QueueShutDownError) return;
        throw error;
      }
      yield item;
    }
  }

  #encode(item: T): [payload: Encoded, priority: number] {
    let value: unknown = item;
    let priority = 0;
    if (this.#order === "PRIORITY") [priority, value] = pairOf(item);
    const payload = encodeValue(value, { root: "item", sameProcess: true, isStored: true });
    const { bytes } = this.#core;
    if (!Items.fits(payload, bytes)) {
      throw new RangeError(
        `The item is too large for the memory of the queue, which is ${bytes} bytes. ` +
          `To fix it, give the queue more, as in new Queue(0, { memory: 2 ** 28 }): ${payload.room} bytes`,
      );
    }
    return [payload, priority];
  }

  #decode({ payload, priority }: Taken): T {
    const value = decodeValue(payload);
    return (this.#order === "PRIORITY" ? [priority, value] : value) as T;
  }
}

sharedClass("Queue", Queue);

/**
 * A {@linkcode Queue} in which the last item in comes out first.
 *
 * @example A stack
 * ```ts
 * import { LifoQueue } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const stack = new LifoQueue<string>();
 * stack.put("first");
 * stack.put("second");
 * assertEquals(stack.get(), "second");
 * ```
 *
 * @typeParam T The type of the items.
 * @see {@link https://docs.python.org/3/library/queue.html#queue.LifoQueue | Python's manual}
 */
export class LifoQueue<T = unknown> extends Queue<T> {}

sharedClass("LifoQueue", LifoQueue);

/**
 * A {@linkcode Queue} whose items are pairs `[priority, value]`: the one with the lowest priority comes out first, and
 * of several with the same one the first one in.
 *
 * @example The most urgent first
 * ```ts
 * import { PriorityQueue } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new PriorityQueue<string>();
 * queue.put([2, "later"]);
 * queue.put([1, "first"]);
 * assertEquals(queue.get(), [1, "first"]);
 * ```
 *
 * @typeParam T The type of the values.
 * @see {@link https://docs.python.org/3/library/queue.html#queue.PriorityQueue | Python's manual}
 */
export class PriorityQueue<T = unknown> extends Queue<[priority: number, value: T]> {}

sharedClass("PriorityQueue", PriorityQueue);

function pairOf(item: unknown): [priority: number, value: unknown] {
  if (!Array.isArray(item) || item.length !== 2) {
    throw new TypeError(`An item of a PriorityQueue must be a pair [priority, value]: ${inspect(item)}`);
  }
  const [priority, value] = item;
  if (typeof priority !== "number") {
    throw new TypeError(`The priority of an item must be a number: ${inspect(priority)}`);
  }
  if (Number.isNaN(priority)) throw new RangeError("The priority of an item must be a number: NaN");
  return [priority, value];
}
