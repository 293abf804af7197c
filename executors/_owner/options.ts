/**
 * What executors check alike before they have a pool.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { isBundled, PACKAGE } from "../../futures/own_modules.ts";
import type { InitializerCall } from "./kind.ts";
import { lookAt } from "./paths.ts";

/** @throws {TypeError} It is no object of options. */
export function checkBag<T extends object>(options: T): T {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`The argument must be a number of workers or an object of options: ${inspect(options)}`);
  }
  return options;
}

/** @throws {TypeError} They are no function and its arguments. */
export function checkInitializer(
  initializer: ((...args: never[]) => unknown) | undefined,
  initargs: readonly unknown[],
): InitializerCall | undefined {
  if (initializer !== undefined && typeof initializer !== "function") {
    throw new TypeError(`The option initializer must be a function: ${inspect(initializer)}`);
  }
  if (!Array.isArray(initargs)) {
    throw new TypeError(`The option initargs must be an array of arguments: ${inspect(initargs)}`);
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
      `Cannot ${action} without permission to read the modules of this library: ${path.pathname}. ` +
        "To fix it, run again with --allow-read",
    );
  }
  if (isBundled && !(isLocal && lookAt(new URL(entry))?.isFile)) {
    throw new Deno.errors.NotFound(
      `Cannot ${action} from a bundle, because the module for it is not beside the bundle: ${entry}. ` +
        "To fix it, leave the package out of the bundle, as in deno bundle --external=@concurrent/futures, " +
        "or esbuild --external:@concurrent/futures",
    );
  }
}
