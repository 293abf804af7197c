/**
 * {@linkcode progress}: a bar around a loop.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { startBar } from "./_bar.ts";

/** Options of {@linkcode progress}. */
export interface ProgressOptions {
  /**
   * How many items there are, a whole number. By default it is the `length` or the `size` of the iterable, if it has
   * one. Without it there is no bar and no time left, only a count.
   */
  total?: number;
  /**
   * What stands before the bar.
   *
   * @default {""}
   */
  label?: string;
  /**
   * What the items are called, such as `"files"`.
   *
   * @default {""}
   */
  unit?: string;
}

/**
 * Shows the progress of a loop on stderr while it runs, and passes the items on.
 *
 * It works with `for` and with `for await`, around the results of `map`, `asCompleted` or anything iterable. An item
 * counts when its turn of the loop is over. Where stderr is no terminal, nothing is shown. The line is never wider than
 * the terminal. When the loop ends, also by `break` or an error, the line stays, and the iterator of the items is
 * closed. In a loop inside another one with a bar there is no second bar.
 *
 * @example A loop over files
 * ```ts
 * import { progress } from "@concurrent/futures/progress";
 * import { assertEquals } from "@std/assert";
 *
 * let sum = 0;
 * for (const n of progress([1, 2, 3], { label: "adding", unit: "numbers" })) sum += n;
 * assertEquals(sum, 6);
 * ```
 *
 * @typeParam T The type of an item of `for`.
 * @typeParam U The type of an item of `for await`. Of `asCompleted` it is `any`, as there.
 * @param items What to loop over.
 * @param options How many items there are, and what to call them.
 * @returns The same items.
 * @throws {TypeError} If `items` is not iterable, or an option is unknown or has the wrong type.
 * @throws {RangeError} If `total` is not a whole number.
 */
export function progress<T, U>(
  items: Iterable<T> & AsyncIterable<U>,
  options?: ProgressOptions,
): Iterable<T> & AsyncIterable<U>;
/**
 * Shows the progress of a loop over what is no async iterable; `for await` then awaits each item, as it always does.
 *
 * @typeParam T The type of an item.
 * @param items What to loop over.
 * @param options How many items there are, and what to call them.
 * @returns The same items.
 */
export function progress<T>(items: Iterable<T>, options?: ProgressOptions): Iterable<T> & AsyncIterable<Awaited<T>>;
/**
 * Shows the progress of a loop over an async iterable, for `for await`.
 *
 * @typeParam T The type of an item.
 * @param items What to loop over.
 * @param options How many items there are, and what to call them.
 * @returns The same items.
 */
export function progress<T>(items: AsyncIterable<T>, options?: ProgressOptions): AsyncIterable<T>;
/**
 * Shows the progress of a loop over what is iterable in one way or the other, for `for await`.
 *
 * @typeParam T The type of an item.
 * @param items What to loop over.
 * @param options How many items there are, and what to call them.
 * @returns The same items.
 */
export function progress<T>(
  items: Iterable<T> | AsyncIterable<T>,
  options?: ProgressOptions,
): AsyncIterable<T | Awaited<T>>;
/** Shows the progress of a loop: all of the above. */
export function progress(
  items: Iterable<unknown> | AsyncIterable<unknown>,
  options: ProgressOptions = {},
): AsyncIterable<unknown> {
  const each = (items as Iterable<unknown> | undefined)?.[Symbol.iterator];
  const eachAsync = (items as AsyncIterable<unknown> | undefined)?.[Symbol.asyncIterator];
  if (typeof each !== "function" && typeof eachAsync !== "function") {
    throw new TypeError(`The items of progress() must be iterable: ${inspect(items)}`);
  }
  const { total, label, unit } = readOptions(items, options);
  const loops: AsyncIterable<unknown> & Partial<Iterable<unknown>> = {
    [Symbol.asyncIterator]() {
      const count = counter(total, label, unit);
      return typeof eachAsync === "function"
        ? new CountedAsync(eachAsync.call(items), count)
        : countedAwaited(items as Iterable<unknown>, count);
    },
  };
  // Whoever takes both kinds, such as map(), looks which one it is.
  if (typeof each === "function") {
    loops[Symbol.iterator] = () => counted(items as Iterable<unknown>, counter(total, label, unit));
  }
  return loops;
}

/** Items of a plain loop. */
function* counted(items: Iterable<unknown>, count: Counter): Generator<unknown, void> {
  try {
    count.next();
    for (const item of items) {
      yield item;
      count.next();
    }
  } finally {
    count.stop();
  }
}

/** Items of `for await` over what is no async iterable: each is awaited. */
async function* countedAwaited(items: Iterable<unknown>, count: Counter): AsyncGenerator<unknown, void> {
  try {
    count.next();
    for await (const item of items) {
      yield item;
      count.next();
    }
  } finally {
    count.stop();
  }
}

/** Items of `for await`, as they are. An async generator would await each, and make a value of a future. */
class CountedAsync implements AsyncIterator<unknown> {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #count: Counter;

  constructor(iterator: AsyncIterator<unknown>, count: Counter) {
    this.#iterator = iterator;
    this.#count = count;
  }

  async next(): Promise<IteratorResult<unknown>> {
    try {
      this.#count.next();
      const result = await this.#iterator.next();
      if (result.done) this.#count.stop();
      return result;
    } catch (error) {
      this.#count.stop();
      throw error;
    }
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#count.stop();
    return await this.#iterator.return?.(value) ?? { done: true, value };
  }

  /** As the loops above do it: the items are closed, and whatever comes of that, the error is this one. */
  async throw(error?: unknown): Promise<IteratorResult<unknown>> {
    await this.return().catch(() => {});
    throw error;
  }
}

/** Counts the turns of a loop. */
interface Counter {
  /** The loop asks for an item: so the turn before is over, if there was one. */
  next(): void;
  stop(): void;
}

/** Counts on a bar, if there is one. It is drawn when the first item is asked for. */
function counter(total: number | undefined, label: string, unit: string): Counter {
  let bar: ReturnType<typeof startBar>;
  let value = -1;
  return {
    next() {
      if (++value === 0) bar = startBar(total, label, unit);
      else bar?.update(value);
    },
    stop() {
      bar?.stop();
    },
  };
}

function readOptions(items: object, options: ProgressOptions) {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`The options of progress() must be an object: ${inspect(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (["total", "label", "unit"].includes(key)) continue;
    throw new TypeError(
      `Cannot use an option of progress() that does not exist. To fix it, use total, label or unit: ${inspect(key)}`,
    );
  }
  const { label = "", unit = "", total = countOf(items) } = options;
  if (typeof label !== "string") throw new TypeError(`The option label must be a string: ${inspect(label)}`);
  if (typeof unit !== "string") throw new TypeError(`The option unit must be a string: ${inspect(unit)}`);
  if (total !== undefined && typeof total !== "number") {
    throw new TypeError(`The option total must be a number: ${inspect(total)}`);
  }
  if (total !== undefined && !(Number.isInteger(total) && total >= 0)) {
    throw new RangeError(`The option total must be an integer of at least 0: ${total}`);
  }
  return { total, label, unit };
}

/** How many items there are, where they tell. */
function countOf(items: object): number | undefined {
  const { length, size } = items as { length?: unknown; size?: unknown };
  return [length, size].find((count): count is number => Number.isInteger(count));
}
