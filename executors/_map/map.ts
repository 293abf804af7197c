/**
 * The entry of `Executor.map`: turns its arguments into the object that it returns.
 *
 * @module
 */

import { checkBoolean, checkCount } from "../../futures/check.ts";
import { deadlineAfter } from "../../futures/deadline.ts";
import { inspect } from "../../futures/inspect.ts";
import { AsyncInput } from "./_async_input.ts";
import type { MapTarget } from "./_results.ts";
import { withConstants } from "./_constants.ts";
import { SyncInput } from "./_sync_input.ts";
import type { MapOptions, MapResults, SettledMapOptions } from "../map.ts";

type Options = MapOptions | SettledMapOptions;

export type { Bound, ChunkOutcome, MapTarget } from "./_results.ts";

type AnyIterable = Iterable<unknown> | AsyncIterable<unknown>;

/** What `map` was called with. */
export interface MapCall {
  readonly inputs: AnyIterable[];
  readonly options: Options;
  /** When the timeout ends, which begins with the call. */
  readonly deadline: number;
}

/**
 * Reads the arguments of `map`, the timeout first.
 *
 * @throws {TypeError} One is of the wrong type.
 * @throws {RangeError} The timeout is `NaN`.
 */
export function readArguments(fn: unknown, rest: unknown[]): MapCall {
  const last = rest.at(-1);
  const hasOptions = isOptions(last);
  const options = hasOptions ? last : {};
  const deadline = deadlineAfter(options.timeout);
  if (typeof fn !== "function") throw new TypeError(`Cannot map with a value that is not a function: ${inspect(fn)}`);
  const inputs = hasOptions ? rest.slice(0, -1) : rest;
  for (const input of inputs) {
    if (!isIterable(input) && !isAsyncIterable(input)) {
      throw new TypeError(`Cannot map over a value that is not iterable: ${inspect(input)}`);
    }
  }
  return { inputs: inputs as AnyIterable[], options, deadline };
}

function isOptions(value: unknown): value is Options {
  if (typeof value !== "object" || value === null || isIterable(value) || isAsyncIterable(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const OPTIONS = ["timeout", "chunksize", "buffersize", "ordered", "settled"];

/** @throws {TypeError} One of the options does not exist. To ignore it would hide a typo. */
function checkNames(options: Options): void {
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue;
    throw new TypeError(
      `Cannot use an option of map() that does not exist. ` +
        `To fix it, use ${OPTIONS.slice(0, -1).join(", ")} or ${OPTIONS.at(-1)}: ${inspect(name)}`,
    );
  }
}

/** Starts a map. */
export function startMap<R>(target: MapTarget, { inputs, options, deadline }: MapCall): MapResults<R> {
  const { chunksize, buffersize, ordered = true, settled = false } = options;
  const limits = { deadline, chunksize, buffersize, ordered, settled };
  if (chunksize !== undefined) checkCount("chunksize", chunksize);
  if (buffersize !== undefined) checkCount("buffersize", buffersize);
  checkBoolean("ordered", ordered);
  checkBoolean("settled", settled);
  checkNames(options);
  const isAsync = !inputs.every(isIterable);
  if (isAsync) target.locate?.();
  ({ target, inputs } = withConstants(target, inputs, isAsync || buffersize !== undefined));
  const results = inputs.every(isIterable)
    ? new SyncInput(target, inputs, limits)
    : new AsyncInput(target, inputs.map(iteratorOf), limits);
  results.start();
  return results as unknown as MapResults<R>;
}

function iteratorOf(input: AnyIterable): Iterator<unknown> | AsyncIterator<unknown> {
  return isAsyncIterable(input) ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return value !== null && value !== undefined &&
    typeof (value as Iterable<unknown>)[Symbol.iterator] === "function";
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return value !== null && value !== undefined &&
    typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function";
}
