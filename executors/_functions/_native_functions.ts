/**
 * Functions that are a part of Deno: nobody can read their text, or it means nothing elsewhere.
 *
 * @module
 */

import type { Binding } from "./_outline.ts";

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

/** The global names, before the program has added any. */
const GLOBALS = new Set(Object.getOwnPropertyNames(globalThis));

/** Global names whose values Deno makes only when somebody looks at them. */
const SKIPPED = new Set(["localStorage", "sessionStorage", "caches"]);

/**
 * Whether a property of the global object is a part of Deno. One that the program has declared, in a script or in the
 * REPL, cannot be deleted.
 */
export function isGlobal(name: string): boolean {
  return GLOBALS.has(name) && Object.getOwnPropertyDescriptor(globalThis, name)?.configurable === true;
}

/** The name of a function of the global scope, as in `"Math.max"`; `undefined` for any other. */
export function nameOfNative(fn: AnyFunction, name: string): string | undefined {
  if (name === "") return undefined;
  if (isGlobal(name) && (globalThis as unknown as { [name: string]: unknown })[name] === fn) return name;
  for (const global of GLOBALS) {
    if (SKIPPED.has(global)) continue;
    const holder = holderOf(global);
    if (holder === undefined || holder === globalThis) continue;
    if (valueOf(holder, name) === fn) return `${global}.${name}`;
    const { prototype } = holder as { prototype?: object };
    if (prototype !== undefined && prototype !== null && valueOf(prototype, name) === fn) {
      return `${global}.prototype.${name}`;
    }
  }
  return undefined;
}

function holderOf(name: string): object | undefined {
  const value = valueOf(globalThis, name);
  return typeof value === "function" || (typeof value === "object" && value !== null) ? value : undefined;
}

/** The value of a property; only where that is a global name is its getter called. */
function valueOf(holder: object, name: string): unknown {
  const descriptor = Object.getOwnPropertyDescriptor(holder, name);
  if (descriptor === undefined || "value" in descriptor) return descriptor?.value;
  try {
    return holder === globalThis ? descriptor.get?.call(holder) : undefined;
  } catch {
    return undefined;
  }
}

/** The exports of a module of Node's in this program. */
export function builtinModule(name: string): { [name: string]: unknown } | undefined {
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): { [name: string]: unknown } | undefined };
  };
  return process.getBuiltinModule(name);
}

/** Whether an import from Node's modules is what the global name stands for, too, as with `process`. */
export function isGlobalOfNode({ specifier, name }: Binding, global: string): boolean {
  if (!specifier.startsWith("node:")) return false;
  const module = builtinModule(specifier);
  const value = (globalThis as unknown as { [name: string]: unknown })[global];
  return module?.[name] === value || name === "default" && module === value;
}
