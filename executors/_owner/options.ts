/**
 * What executors check and prepare alike before they have a pool.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { SerializationError } from "../../futures/errors.ts";
import type { Initializer } from "../_queue/protocol.ts";
import { isBundled, PACKAGE } from "../_functions/own_modules.ts";
import { lookAt } from "./paths.ts";
import type { Pool } from "./pool.ts";
import { Transfer } from "../transfer.ts";

export { checkCount } from "../../futures/check.ts";

/** @throws {TypeError} It is no object of options. */
export function checkBag<T extends object>(options: T): T {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use as a number of workers, or as options: ${inspect(options)}`);
  }
  return options;
}

/** @throws {TypeError} They are no function and its arguments. */
export function checkInitializer(initializer: unknown, initargs: unknown): void {
  if (initializer !== undefined && typeof initializer !== "function") {
    throw new TypeError(`Cannot use initializer as a function: ${inspect(initializer)}`);
  }
  if (!Array.isArray(initargs)) {
    throw new TypeError(`Cannot use initargs as a list of arguments: ${inspect(initargs)}`);
  }
}

/**
 * Encodes the initializer's arguments now; what cannot be sent breaks the pool when its first worker starts.
 *
 * @throws {SerializationError} They move what only one worker could get.
 */
export function prepareInitializer(
  pool: Pool,
  initializer: (...args: never[]) => unknown,
  initargs: readonly unknown[],
): () => Initializer {
  for (const [i, arg] of initargs.entries()) {
    if (!(arg instanceof Transfer) || arg.list.every((item) => item instanceof ArrayBuffer)) continue;
    const path = `initargs[${i}]`;
    throw new SerializationError(
      `Cannot send ${path} to several workers: only buffers can be copied for each, so give the rest to a task`,
      path,
    );
  }
  try {
    const prepared = { fn: pool.define(initializer), payload: pool.postable(initargs) };
    return () => prepared;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** The most items that are sent at once, where it is known how quick they are and where not: what sending costs is shared by so many that more would save nothing. */
const MAX_QUICK_ITEMS = 1024;
const MAX_ITEMS = 256;

/** How long a chunk shall take, in milliseconds: what sending it costs is nothing beside that. */
const CHUNK_MS = 5;

/**
 * How many items to send at once next. Where nobody knows what they will take, the first chunks are small, that all workers have work and the first
 * results come soon; then they grow. The last ones are small again, so that no worker is left with much more to do than the others. Such
 * a sequence is called guided self-scheduling (Polychronopoulos and Kuck, 1987).
 *
 * @param pace How many milliseconds an item took, if that is known.
 */
export function nextChunksize(submitted: number, left: number, maxWorkers: number, pace?: number): number {
  const most = pace === undefined
    ? Math.min(MAX_ITEMS, submitted / (4 * maxWorkers))
    : Math.min(MAX_QUICK_ITEMS, CHUNK_MS / pace);
  return Math.max(1, Math.floor(Math.min(most, left / (4 * maxWorkers))));
}

/**
 * Asks for the permission to read this library's modules. Asked for before a worker is started: one that cannot read
 * its modules fails with an event, which a blocked thread never hears.
 *
 * @param entry The URL of the module that the worker begins with.
 * @throws {Deno.errors.NotCapable} It was not granted.
 * @throws {Deno.errors.NotFound} This library is in a bundle, where workers do not find their modules.
 */
export function requestReadOfOwnModules(action: string, entry: string): void {
  const path = PACKAGE;
  const isLocal = path.protocol === "file:";
  // A compiled program brings its modules along, and needs no permission for them.
  const needsPermission = isLocal && !Deno.build.standalone;
  if (needsPermission && Deno.permissions.requestSync({ name: "read", path }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      `Cannot ${action} without permission to read ${path.pathname}: run again with --allow-read`,
    );
  }
  if (isBundled && !(isLocal && lookAt(new URL(entry))?.isFile)) {
    throw new Deno.errors.NotFound(
      `Cannot ${action} from a bundle, which has no module for it beside itself: keep the package out of the bundle, ` +
        `as in deno bundle --external "@concurrent/futures", or esbuild --external:@concurrent/futures: ${entry}`,
    );
  }
}
