/**
 * What `Executor.with` returns, and its options.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { type Future, internals } from "../../futures/future.ts";
import { stopWith } from "../../futures/signals.ts";
import type { MapInputs, MapOptions, MapResults, SettledMapOptions } from "../map.ts";
import type { ControlledExecutor, TaskOptions } from "../task_options.ts";
import { type MapTarget, readArguments, startMap } from "./map.ts";

// deno-lint-ignore no-explicit-any -- any parameters and any result
type AnyFunction = (...args: any[]) => any;

/** How an executor submits tasks that have options. */
export interface Controlled {
  /** @throws {TypeError} The executor cannot keep one of the options. */
  check?(options: TaskOptions): void;
  submit(fn: AnyFunction, args: unknown[], options: TaskOptions): Future<unknown>;
  target(fn: AnyFunction, options: TaskOptions): MapTarget;
}

const KNOWN = ["timeout", "signal", "name", "grace"] as const;

/**
 * Checks options of `with()`.
 *
 * @returns A copy of those that were given.
 * @throws {TypeError} One is unknown, or of the wrong type.
 * @throws {RangeError} A time is `NaN`.
 */
export function checkTaskOptions(options: TaskOptions): TaskOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`The options of with() must be an object: ${inspect(options)}`);
  }
  const timeout = timeOf("timeout", options.timeout);
  const grace = timeOf("grace", options.grace);
  for (const key of Object.keys(options)) {
    if ((KNOWN as readonly string[]).includes(key)) continue;
    throw new TypeError(
      "Cannot use an option of with() that does not exist. " +
        `To fix it, use ${KNOWN.slice(0, -1).join(", ")} or ${KNOWN.at(-1)}: ${inspect(key)}`,
    );
  }
  const { signal, name } = options;
  if (signal !== undefined && !isSignal(signal)) {
    throw new TypeError(`The option signal must be an AbortSignal: ${inspect(signal)}`);
  }
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError(`The option name must be a string: ${inspect(name)}`);
  }
  const given: { [key: string]: unknown } = { timeout, signal, name, grace };
  for (const key of KNOWN) if (given[key] === undefined) delete given[key];
  return given;
}

const { aborted } = Object.getOwnPropertyDescriptors(AbortSignal.prototype);

/** Whether it is a signal, and not only looks like one. */
function isSignal(value: unknown): boolean {
  try {
    aborted.get!.call(value);
    return true;
  } catch {
    return false;
  }
}

/** A time as all others of this library: less than 0 means the same as 0. */
function timeOf(name: string, time: unknown): number | undefined {
  if (time === undefined) return undefined;
  if (typeof time !== "number") {
    throw new TypeError(`The option ${name} must be a number of milliseconds: ${inspect(time)}`);
  }
  if (Number.isNaN(time)) throw new RangeError(`The option ${name} must be a number of milliseconds: NaN`);
  return Math.max(time, 0);
}

/** An executor with options for its tasks. */
export class View implements ControlledExecutor {
  readonly #executor: Controlled;
  readonly #options: TaskOptions;

  constructor(executor: Controlled, options: TaskOptions) {
    executor.check?.(options);
    this.#executor = executor;
    this.#options = options;
  }

  submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.#executor.submit(fn, args, this.#options) as Future<Awaited<R>>;
  }

  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions]
  ): MapResults<Awaited<R>>;
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>, SettledMapOptions]
  ): MapResults<PromiseSettledResult<Awaited<R>>>;
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>, Omit<MapOptions, "settled"> & { settled?: boolean }]
  ): MapResults<Awaited<R>> | MapResults<PromiseSettledResult<Awaited<R>>>;
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions | SettledMapOptions]
  ): MapResults<unknown> {
    const call = readArguments(fn, inputs);
    return startMap(this.#executor.target(fn, this.#options), call);
  }

  with(options: TaskOptions): ControlledExecutor {
    return new View(this.#executor, { ...this.#options, ...checkTaskOptions(options) });
  }
}

/** Has an executor that knows no options submit a task: its signal stops it, and its name is the future's. */
export function submitControlled(
  submit: (fn: AnyFunction, args: unknown[]) => Future<unknown>,
  fn: AnyFunction,
  args: unknown[],
  { signal, name, grace }: TaskOptions,
): Future<unknown> {
  const control = { name, grace, fn: typeof fn === "function" ? fn.name : "" };
  if (signal?.aborted) return internals.cancelled(control);
  const future = submit(fn, args);
  if (name !== undefined || grace !== undefined) {
    internals.setControl(future, { ...internals.controlOf(future), ...control });
  }
  if (signal?.aborted) future.abort(signal.reason);
  else if (signal !== undefined) stopWith(signal, future);
  return future;
}
