/**
 * Errors taken apart into plain values and put together again, with class, fields, causes and stack.
 *
 * @module
 */

import * as errors from "../futures/errors.ts";

/** An error taken apart into what crosses. */
export interface ErrorParts {
  /** Names of its class and of the classes that it extends, the nearest first. */
  classes: string[];
  name: string;
  message: string;
  stack: string;
  /** Its other own properties, `cause` among them, by name. */
  [PROPERTIES]: { [name: string]: unknown };
  /** Those of them that are not enumerable. */
  hidden: string[];
}

/** A key that no path of a user's value begins with, so that it can be taken out of paths again. */
export const PROPERTIES = "\0properties";

type ErrorClass = { readonly prototype: Error; readonly name: string };

const known = new Map<string, ErrorClass>();

for (
  const builtIn of [
    Error,
    AggregateError,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
    DOMException,
    SuppressedError,
    ...Object.values(Deno.errors),
    ...Object.values(errors),
  ]
) known.set(builtIn.name, builtIn);

/** Makes errors of a class arrive as its instances; see {@linkcode registerError}. */
export function registerClass(errorClass: ErrorClass): void {
  known.set(errorClass.name, errorClass);
}

/** Properties that are told apart from the rest. */
const STANDARD = new Set(["name", "message", "stack"]);

/** The classes of errors that arrived here, and whose own class is not known here. */
const classesOf = new WeakMap<Error, string[]>();

/**
 * Takes an error apart.
 *
 * @param error The error.
 * @param whyNot For an error that must arrive in any case: says why a property cannot cross. Such properties are left out
 * and named at the end of the stack: an error is worth more than its property.
 */
export function takeApart(error: Error, whyNot: (name: string, value: unknown) => string | undefined): ErrorParts {
  const properties: { [name: string]: unknown } = {};
  const hidden: string[] = [];
  const missing: string[] = [];
  for (const name of Object.getOwnPropertyNames(error)) {
    if (STANDARD.has(name)) continue;
    try {
      const value = (error as unknown as { [name: string]: unknown })[name];
      const reason = whyNot(name, value);
      if (reason !== undefined) {
        missing.push(reason);
        continue;
      }
      define(properties, name, value, true);
      if (!Object.prototype.propertyIsEnumerable.call(error, name)) hidden.push(name);
    } catch (thrown) {
      missing.push(`${name}: its getter throws: ${thrown}`);
    }
  }
  let stack = textOf(() => error.stack, "");
  if (missing.length > 0) stack += `\n    [left out: ${missing.join("; ")}]`;
  return {
    classes: classesOf.get(error) ?? classNames(error),
    name: textOf(() => error.name, "Error"),
    message: textOf(() => error.message, ""),
    stack,
    [PROPERTIES]: properties,
    hidden,
  };
}

function classNames(error: Error): string[] {
  const names: string[] = [];
  let prototype = Object.getPrototypeOf(error);
  while (prototype !== null && prototype !== Object.prototype) {
    names.push(textOf(() => prototype.constructor.name, "Error"));
    prototype = Object.getPrototypeOf(prototype);
  }
  return names;
}

function textOf(read: () => unknown, otherwise: string): string {
  try {
    const value = read();
    return value === undefined ? otherwise : String(value);
  } catch {
    return otherwise;
  }
}

/** Makes an error with class, name, message and stack; {@linkcode complete} adds the rest, which may refer back to it. */
export function putTogether(parts: ErrorParts): Error {
  const name = parts.classes.find((name) => known.has(name)) ?? "Error";
  const errorClass = known.get(name)!;
  // The constructor of a user's class is not called: it may want other arguments, or do something.
  const error = name === "DOMException"
    ? new DOMException(parts.message, parts.name)
    : Object.setPrototypeOf(new Error(parts.message), errorClass.prototype) as Error;
  define(error, "stack", parts.stack, false);
  if (error.name !== parts.name) define(error, "name", parts.name, false);
  if (name !== parts.classes[0]) classesOf.set(error, parts.classes);
  return error;
}

/** Adds the properties to what {@linkcode putTogether} made. */
export function complete(error: Error, { [PROPERTIES]: properties, hidden }: ErrorParts): void {
  for (const [name, value] of Object.entries(properties)) define(error, name, value, !hidden.includes(name));
}

function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable, configurable: true });
}
