/**
 * Errors taken apart into plain values and put together again, with class, fields, causes and stack.
 *
 * @module
 */

import * as errors from "../../futures/errors.ts";
import { withoutOwnFrames } from "../../futures/own_frames.ts";
import { isExit } from "../../futures/task_exit.ts";

/** What every error has. */
export interface ErrorParts {
  /** The names of its class and of the classes which that extends, the nearest first. */
  classes: string[];
  name: string;
  message: string;
  stack: string;
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
    SuppressedError,
    ...Object.values(Deno.errors),
    ...Object.values(errors),
  ]
) known.set(builtIn.name, builtIn);

/** Makes errors of a class arrive as its instances; see {@linkcode registerError}. */
export function registerClass(errorClass: ErrorClass): void {
  known.set(errorClass.name, errorClass);
}

/** The properties that {@linkcode ErrorParts} has. */
const STANDARD = new Set(["name", "message", "stack"]);

/** The names of classes of errors that have arrived here, where the first of these is not known here. */
const classesOf = new WeakMap<Error, string[]>();

/**
 * Takes an error apart, as far as it can be read.
 *
 * @param isThrown Whether it is what a task threw: then the frames of this library are left out.
 */
export function takeApart(error: Error, isThrown: boolean): ErrorParts {
  const message = textOf(() => error.message, "");
  const stack = textOf(() => error.stack, "");
  return {
    classes: classesOf.get(error) ?? classNames(error),
    name: textOf(() => error.name, "Error"),
    message,
    stack: isThrown ? withoutOwnFrames(stack, message) : stack,
  };
}

/** The names of the own properties that {@linkcode takeApart} leaves, `cause` among them. */
export function propertiesOf(error: Error): string[] {
  return Object.getOwnPropertyNames(error).filter((name) => !STANDARD.has(name));
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
  } catch (error) {
    if (isExit(error)) throw error;
    return otherwise;
  }
}

/** Makes an error again, without its other properties, which may refer back to it. */
export function putTogether(parts: ErrorParts): Error {
  const name = parts.classes.find((name) => known.has(name)) ?? "Error";
  const errorClass = known.get(name)!;
  // This calls no constructor of a user's class, which may want other arguments, or do something.
  const error = name === "DOMException"
    ? new DOMException(parts.message, parts.name)
    : Object.setPrototypeOf(new Error(parts.message), errorClass.prototype) as Error;
  define(error, "stack", parts.stack, false);
  if (error.name !== parts.name) define(error, "name", parts.name, false);
  if (name !== parts.classes[0]) classesOf.set(error, parts.classes);
  return error;
}

/** Gives an object a property, also one that is called `__proto__` or has a setter. */
export function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable, configurable: true });
}
