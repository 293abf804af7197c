/**
 * {@linkcode repeat}: a value again and again, as an input of `map`.
 *
 * @module
 */

import { inspect } from "../futures/inspect.ts";

/** Gives one value so many times, or for ever. */
export class Repeat<T> extends Iterator<T, undefined> implements IterableIterator<T, undefined> {
  /** The value. */
  readonly value: T;
  #left: number;

  /**
   * @param value The value.
   * @param times How many times it is given.
   */
  constructor(value: T, times: number) {
    super();
    this.value = value;
    this.#left = times;
  }

  /** How many times it will be given. */
  get left(): number {
    return this.#left;
  }

  override next(): IteratorResult<T, undefined> {
    if (this.#left === 0) return { done: true, value: undefined };
    if (this.#left !== Infinity) this.#left--;
    return { done: false, value: this.value };
  }
}

/**
 * Returns an iterator that yields the same value again and again: an input of
 * {@linkcode Executor.prototype.map | map()} for an argument that is the same for all items.
 *
 * Thread pools and process pools send a large value to each worker once, not with each item. Each task gets a copy of
 * its own, made from the value as it was when `map` was called, so tasks do not see what others do to theirs. Making
 * the copy takes as long as reading the value; strings are not copied.
 *
 * @example The same table for all items
 * ```ts
 * import { repeat, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const table = new Float64Array(100_000).map((_, i) => Math.sqrt(i));
 * const roots = pool.map((table: Float64Array, i: number) => table[i], repeat(table), [4, 9, 16]);
 * assertEquals([...roots], [2, 3, 4]);
 * ```
 *
 * @typeParam T The type of the value.
 * @param value The value to repeat.
 * @param times How often the iterator yields it, an integer; not at all if it is 0 or less. By default it never ends,
 * so that a `map` ends with its other inputs.
 * @returns The iterator. It yields the value itself, not a copy.
 * @throws {TypeError} If `times` is not a number.
 * @throws {RangeError} If `times` is not an integer.
 * @see {@link https://docs.python.org/3/library/itertools.html#itertools.repeat | Python's manual}
 */
export function repeat<T>(value: T, times: number = Infinity): IteratorObject<T, undefined> {
  if (typeof times !== "number") throw new TypeError(`The argument times must be a number: ${inspect(times)}`);
  if (!Number.isInteger(times) && Math.abs(times) !== Infinity) {
    throw new RangeError(`The argument times must be an integer: ${times}`);
  }
  return new Repeat(value, Math.max(0, times));
}
