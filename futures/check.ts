/**
 * Checks of arguments.
 *
 * @module
 */

import { inspect } from "./inspect.ts";

/**
 * Checks how long something may take or last.
 *
 * @param name What the caller calls it.
 * @throws {TypeError} It is no number.
 * @throws {RangeError} It is not above 0.
 */
export function checkDuration(name: string, ms: unknown): void {
  if (typeof ms !== "number") {
    throw new TypeError(`The option ${name} must be a number of milliseconds: ${inspect(ms)}`);
  }
  if (!(ms > 0)) throw new RangeError(`The option ${name} must be a number of milliseconds above 0: ${ms}`);
}

/**
 * Checks a count.
 *
 * @param name What the caller calls it.
 * @throws {TypeError} It is no number.
 * @throws {RangeError} It is no integer of at least 1.
 */
export function checkCount(name: string, count: unknown): void {
  if (typeof count !== "number") {
    throw new TypeError(`The option ${name} must be a number: ${inspect(count)}`);
  }
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`The option ${name} must be an integer of at least 1: ${count}`);
  }
}

/**
 * Checks a switch.
 *
 * @param name What the caller calls it.
 * @throws {TypeError} It is no boolean.
 */
export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== "boolean") throw new TypeError(`The option ${name} must be a boolean: ${inspect(value)}`);
}
