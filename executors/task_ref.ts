/**
 * {@linkcode taskRef}: a function by the name under which its module exports it.
 *
 * @module
 */

import { importModule } from "./_functions/import.ts";

/** The place of a function that a module exports. */
export interface TaskLocation {
  /** The module's absolute URL. */
  module: string;
  /** The export's name; dots reach into objects and static members. */
  path: string;
}

const locations = new WeakMap<object, TaskLocation>();

/**
 * Refers to a function that a module exports, for `submit` and `map`.
 *
 * Executors find most exported functions by themselves. A reference is needed where they cannot, such as in the REPL,
 * and for static methods. Only the worker imports the module.
 *
 * @example A function of another module
 * ```ts
 * import { taskRef, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const path = import.meta.resolve("@std/path");
 * const basename = taskRef<(path: string) => string>(path, "basename");
 *
 * using pool = new ThreadPoolExecutor(1);
 * assertEquals(pool.submit(basename, "docs/index.md").result(), "index.md");
 * ```
 *
 * @typeParam F The type of the function.
 * @param moduleUrl The absolute URL of the module, such as `import.meta.resolve("./tasks.ts")`.
 * @param exportName The name of the export. Dots reach into objects and static members, as in `"Parser.parse"`.
 * @returns A stand-in for the function. If you call it yourself, it imports the module in this thread, and returns a
 * promise of the result.
 * @throws {TypeError} If the URL is not absolute, or the name is empty.
 */
// deno-lint-ignore no-explicit-any -- any function will do
export function taskRef<F extends (...args: any[]) => unknown>(
  moduleUrl: string | URL,
  exportName: string,
): F {
  const url = URL.parse(String(moduleUrl));
  if (url === null) {
    throw new TypeError(
      `The URL of a task's module must be absolute: ${Deno.inspect(moduleUrl)}. To fix it, use import.meta.resolve()`,
    );
  }
  if (typeof exportName !== "string" || exportName === "") {
    throw new TypeError(
      `The name of a task's export must be a string that is not empty: ${Deno.inspect(exportName)}`,
    );
  }
  const location = { module: url.href, path: exportName };
  const ref = async (...args: unknown[]) => {
    const namespace = await importModule(location.module);
    const { fn, self } = reach(namespace, location.path);
    if (typeof fn !== "function") throw new TypeError(missing(location, namespace, fn));
    return fn.apply(self, args);
  };
  Object.defineProperty(ref, "name", { value: exportName });
  locations.set(ref, location);
  return ref as unknown as F;
}

/** The place of the function for which a stand-in of {@linkcode taskRef} stands. */
export function locationOf(fn: object): TaskLocation | undefined {
  return locations.get(fn);
}

/** Follows a dotted path; `self` is what the function is a member of. */
export function reach(
  namespace: unknown,
  path: string,
): { fn: unknown; self: unknown } {
  let self: unknown = undefined;
  let fn = namespace;
  for (const name of path.split(".")) {
    self = fn === namespace ? undefined : fn;
    const holder = fn as { [name: string]: unknown } | null | undefined;
    fn = holder === null || holder === undefined || !(name in Object(holder)) ? undefined : holder[name];
  }
  return { fn, self };
}

/** What the error says of an export that is no function. */
export function missing({ module, path }: TaskLocation, namespace: object, value: unknown): string {
  const problem = value === undefined
    ? `Cannot find the export ${path} in ${module}`
    : `The export ${path} of ${module} is not a function: ${Deno.inspect(value)}`;
  return `${problem}. To fix it, name one of its exports in taskRef(): ${Object.keys(namespace).join(", ") || "none"}`;
}
