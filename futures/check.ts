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
 * @param use What it counts, as in `"as a number of items"`; messages leave it out where that is plain from the name.
 * @throws {TypeError} It is no number.
 * @throws {RangeError} It is no integer of at least 1.
 */
export function checkCount(name: string, count: unknown, use = ""): void {
  if (typeof count !== "number") {
    throw new TypeError(`Cannot use ${name} ${use || "as a number"}: ${inspect(count)}`);
  }
  if (!Number.isInteger(count) || count < 1) {
    const what = use === "" ? name : `${name} ${use}`;
    throw new RangeError(`Cannot use ${what}, wanted an integer of at least 1: ${count}`);
  }
}
