/**
 * What the functions of this room check, and the executor that they use by default.
 *
 * @module
 */

import { BrokenExecutor } from "../../futures/errors.ts";
import { inspect } from "../../futures/inspect.ts";
import type { Executor } from "../executor.ts";
import type { ControlledExecutor } from "../task_options.ts";
import { ThreadPoolExecutor } from "../threads/thread_pool_executor.ts";

type AnyExecutor = Executor | ControlledExecutor;

/** For how many milliseconds the threads of the default pool have nothing to do before they end. */
const IDLE_MS = 1_000;

let pool: Executor | undefined;

/**
 * Gives an executor to a call: that of its options, or else the pool of all calls in this thread that name none. The
 * pool has no threads until there is a task, and none again soon after the last one, so it needs no shutdown.
 *
 * @param use Submits the first task. It is called again with a new pool where the old one is broken: nobody else could
 * replace that.
 */
export function withExecutor<T>(given: AnyExecutor | undefined, use: (executor: AnyExecutor) => T): T {
  if (given !== undefined) return use(given);
  const makePool = () => new ThreadPoolExecutor({ threadNamePrefix: "parallel", idleTimeout: IDLE_MS });
  try {
    return use(pool ??= makePool());
  } catch (error) {
    if (!(error instanceof BrokenExecutor)) throw error;
    return use(pool = makePool());
  }
}

/**
 * Checks options, each of which is read once.
 *
 * @param call The function that has them, for messages.
 * @throws {TypeError} They are no object, one is unknown, or `executor` is none.
 */
export function readOptions<T extends { executor?: AnyExecutor }>(
  call: string,
  options: T,
  known: readonly (keyof T & string)[],
): T {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`The options of ${call}() must be an object: ${inspect(options)}`);
  }
  for (const key of Object.keys(options)) {
    if ((known as readonly string[]).includes(key)) continue;
    throw new TypeError(
      `Cannot use an option of ${call}() that does not exist. To fix it, use ${known.join(" or ")}: ${inspect(key)}`,
    );
  }
  const read = {} as T;
  // By name: an object may inherit them, which a copy would not.
  for (const key of known) read[key] = options[key];
  const { executor } = read;
  if (executor !== undefined && (typeof executor?.submit !== "function" || typeof executor.map !== "function")) {
    throw new TypeError(`The option executor must be an executor: ${inspect(executor)}`);
  }
  return read;
}

/** @throws {TypeError} It is no function. */
export function checkFunction(what: string, fn: unknown): void {
  if (typeof fn !== "function") throw new TypeError(`The ${what} must be a function: ${inspect(fn)}`);
}
