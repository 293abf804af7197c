/**
 * What executors check alike before they have a pool.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { isBundled, PACKAGE } from "../_functions/own_modules.ts";
import type { InitializerCall } from "./kind.ts";
import { lookAt } from "./paths.ts";

/** @throws {TypeError} It is no object of options. */
export function checkBag<T extends object>(options: T): T {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use as a number of workers, or as options: ${inspect(options)}`);
  }
  return options;
}

/** @throws {TypeError} They are no function and its arguments. */
export function checkInitializer(
  initializer: ((...args: never[]) => unknown) | undefined,
  initargs: readonly unknown[],
): InitializerCall | undefined {
  if (initializer !== undefined && typeof initializer !== "function") {
    throw new TypeError(`Cannot use initializer as a function: ${inspect(initializer)}`);
  }
  if (!Array.isArray(initargs)) {
    throw new TypeError(`Cannot use initargs as a list of arguments: ${inspect(initargs)}`);
  }
  return initializer && { fn: initializer, args: initargs };
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
