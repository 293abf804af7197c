/**
 * Checks of arguments.
 *
 * @module
 */

import { inspect } from "./inspect.ts";

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
