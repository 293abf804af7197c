/**
 * What modules export that this program has loaded.
 *
 * @module
 */

import { pathOf } from "./file_paths.ts";
import { builtinModule } from "./_native_functions.ts";
import { reach, type TaskLocation } from "../task_ref.ts";

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

const namespaces = new Map<string, object>();
const exported = new WeakMap<AnyFunction, TaskLocation>();

/**
 * What a module exports that this program has loaded. The caller knows that it has: else this would run the module.
 * `undefined` where nobody gets that without waiting: the module is still being evaluated, or uses top-level await. The
 * first call takes ten milliseconds for Node's `require()`, so this is only for cases of doubt.
 */
function namespaceOf(url: string): object | undefined {
  const known = namespaces.get(url);
  if (known !== undefined) return known;
  const location = new URL(url);
  if (location.protocol !== "file:" || location.search !== "" || location.hash !== "") return undefined;
  try {
    const { createRequire } = builtinModule("node:module") as {
      createRequire(from: string): (path: string) => object;
    };
    const namespace = createRequire(url)(pathOf(location));
    namespaces.set(url, namespace);
    return namespace;
  } catch {
    return undefined;
  }
}

/** The export that is this very function, of one of these loaded modules or of those that earlier calls were given. */
export function exportOf(fn: AnyFunction, modules: Iterable<string> = []): TaskLocation | undefined {
  for (const module of modules) {
    if (namespaces.has(module)) continue;
    for (const [path, value] of Object.entries(namespaceOf(module) ?? {})) {
      if (typeof value === "function" && !exported.has(value)) exported.set(value, { module, path });
    }
  }
  return exported.get(fn);
}

/** Whether an export of a loaded module is this very function; `undefined` where nobody can tell. */
export function isExport(fn: AnyFunction, { module, path }: TaskLocation): boolean | undefined {
  const namespace = namespaceOf(module);
  return namespace && reach(namespace, path).fn === fn;
}
