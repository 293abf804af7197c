/**
 * Functions that are a part of Deno: their text is not to be had, or means nothing elsewhere.
 *
 * @module
 */

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

/** Before the program has added any. */
const GLOBALS = new Set(Object.getOwnPropertyNames(globalThis));

/** What is made when it is looked at. */
const SKIPPED = new Set(["localStorage", "sessionStorage", "caches"]);

/**
 * Whether a function is a global one that the program has not made: declared in a script or the REPL, it cannot be
 * deleted.
 */
function isGlobal(fn: AnyFunction, name: string): boolean {
  if (!GLOBALS.has(name) || (globalThis as unknown as { [name: string]: unknown })[name] !== fn) return false;
  return Object.getOwnPropertyDescriptor(globalThis, name)?.configurable === true;
}

/** Where a function is among the global names, as in `"Math.max"`; `undefined` where it is not there. */
export function nameOfNative(fn: AnyFunction, name: string): string | undefined {
  if (name === "") return undefined;
  if (isGlobal(fn, name)) return name;
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

/** A property's value, unless its getter makes it. */
function valueOf(holder: object, name: string): unknown {
  const descriptor = Object.getOwnPropertyDescriptor(holder, name);
  if (descriptor === undefined || "value" in descriptor) return descriptor?.value;
  try {
    return holder === globalThis ? descriptor.get?.call(holder) : undefined;
  } catch {
    return undefined;
  }
}

/** A module of Node's, as this program has it. */
export function builtinModule(name: string): { [name: string]: unknown } | undefined {
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): { [name: string]: unknown } | undefined };
  };
  return process.getBuiltinModule(name);
}
