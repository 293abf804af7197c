/**
 * {@linkcode parallelize}: the body of a loop, run for several items at a time.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import type { MapResults } from "../map.ts";
import { checkFunction, readOptions, withExecutor } from "./_options.ts";
import type { ParallelOptions } from "./parallel.ts";

/**
 * Splits items over the CPUs: calls a function for each of them, several at a time, and yields what it returns, in the
 * order of the items.
 *
 * It starts at once. `for` blocks the calling thread while it waits for the next result; `for await` does not. If a
 * call throws, the loop throws its error when it reaches that item, and the calls that have not started are cancelled;
 * so they are if the loop is left early. For more options, use the `map` of an executor, which this is.
 *
 * Python's python-parallelize has it as `for item in parallelize(items)`. Here the body of the loop is a function,
 * because it runs in another thread.
 *
 * @example The body of a loop
 * ```ts
 * import { parallelize } from "@concurrent/futures/parallel";
 * import { assertEquals } from "@std/assert";
 *
 * const lengths: number[] = [];
 * for await (const length of parallelize(["a", "bc", "def"], (word) => word.length)) lengths.push(length);
 * assertEquals(lengths, [1, 2, 3]);
 * ```
 *
 * @typeParam T The type of an item.
 * @typeParam R The type that the function returns.
 * @param items The items. If it is an async iterable, only `for await` can read the results.
 * @param body The function to call with each item.
 * @param options The executor.
 * @returns The results, for one iteration.
 * @throws {TypeError} If `items` is not iterable, `body` is not a function, or an option is unknown or has the wrong
 * type.
 * @throws What the `map` of the executor throws, such as a `ShutdownError`.
 */
export function parallelize<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  body: (item: T) => R,
  options: ParallelOptions = {},
): MapResults<Awaited<R>> {
  const { [Symbol.iterator]: each, [Symbol.asyncIterator]: eachAsync } = Object(items);
  if (typeof each !== "function" && typeof eachAsync !== "function") {
    throw new TypeError(`The items of parallelize() must be iterable: ${inspect(items)}`);
  }
  checkFunction("body of parallelize()", body);
  const { executor } = readOptions("parallelize", options, ["executor"]);
  return withExecutor(executor, (executor) => executor.map(body, items));
}
