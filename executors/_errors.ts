/**
 * Errors taken apart into plain values and put together again, with class, fields, causes and stack.
 *
 * @module
 */

import * as errors from "../futures/errors.ts";

/** An error taken apart: everything in it crosses. */
export interface ErrorParts {
  /** Names of its class and of the classes that it extends, the nearest first. */
  classes: string[];
  /** `name`, and whether it is the object's own. */
  name: string;
  message: string;
  stack: string;
  /** Own enumerable fields, by name. */
  fields: [string, unknown][];
  /** `[cause]`, where the error has one. */
  cause?: [unknown];
  /** The errors of an `AggregateError`. */
  errors?: unknown[];
}

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
    ...Object.values(Deno.errors),
    ...Object.values(errors),
  ]
) known.set(builtIn.name, builtIn);

/** Makes errors of a class arrive as its instances; see {@linkcode registerError}. */
export function registerClass(errorClass: ErrorClass): void {
  known.set(errorClass.name, errorClass);
}

/** Fields that are told apart from the rest. */
const STANDARD = new Set(["name", "message", "stack", "cause", "errors"]);

/**
 * Takes an error apart. What cannot cross is left out and named at the end of the stack: the error itself is
 * worth more than the field.
 *
 * @param canCross Whether a value can cross.
 */
export function takeApart(error: Error, canCross: (value: unknown) => boolean): ErrorParts {
  const missing: string[] = [];
  const keep = (name: string): { value: unknown } | undefined => {
    try {
      const value = (error as unknown as { [name: string]: unknown })[name];
      if (canCross(value)) return { value };
    } catch {
      // A getter that throws is left out like a value that cannot cross.
    }
    missing.push(name);
    return undefined;
  };
  const parts: ErrorParts = {
    classes: classNames(error),
    name: textOf(() => error.name, "Error"),
    message: textOf(() => error.message, ""),
    stack: textOf(() => error.stack, ""),
    fields: [],
  };
  for (const name of Object.keys(error)) {
    if (STANDARD.has(name)) continue;
    const field = keep(name);
    if (field !== undefined) parts.fields.push([name, field.value]);
  }
  if (Object.hasOwn(error, "cause")) {
    const cause = keep("cause");
    if (cause !== undefined) parts.cause = [cause.value];
  }
  if (Object.hasOwn(error, "errors")) {
    const inner = keep("errors");
    if (inner !== undefined && Array.isArray(inner.value)) parts.errors = inner.value;
  }
  if (missing.length > 0) {
    parts.stack += `\n    [left out, because it cannot cross between threads: ${missing.join(", ")}]`;
  }
  return parts;
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

/** Makes an error with class, name, message and stack; {@linkcode complete} adds what may refer back to it. */
export function putTogether(parts: ErrorParts): Error {
  const name = parts.classes.find((name) => known.has(name)) ?? "Error";
  const errorClass = known.get(name)!;
  // The constructor of a user's class is not called: it may want other arguments, or do something.
  const error = name === "DOMException"
    ? new DOMException(parts.message, parts.name)
    : Object.setPrototypeOf(new Error(parts.message), errorClass.prototype) as Error;
  hide(error, "stack", parts.stack);
  if (error.name !== parts.name) hide(error, "name", parts.name);
  return error;
}

/** Adds fields, cause and errors to what {@linkcode putTogether} made. */
export function complete(error: Error, parts: ErrorParts): void {
  for (const [name, value] of parts.fields) {
    Object.defineProperty(error, name, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  if (parts.cause !== undefined) hide(error, "cause", parts.cause[0]);
  if (parts.errors !== undefined) hide(error, "errors", parts.errors);
}

/** Sets a property as the language does for errors: not enumerable. */
function hide(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, {
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
