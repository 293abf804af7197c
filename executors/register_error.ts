/**
 * {@linkcode registerError}: the classes of which errors of tasks arrive.
 *
 * @module
 */

import { registerClass } from "./_values/error_codec.ts";

/**
 * Makes errors of a class that tasks throw arrive as instances of it. Else an error arrives as an instance of the
 * nearest class that is known: a built-in one, one of `Deno.errors`, or one of this module. Call it where you use the
 * executor, not in the worker. Errors find the class by its name, and nobody calls its constructor.
 *
 * @example An error class of your own
 * ```ts
 * import { registerError, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertInstanceOf } from "@std/assert";
 *
 * class QuotaError extends Error {}
 * registerError(QuotaError);
 *
 * using pool = new ThreadPoolExecutor(1);
 * const future = pool.submit(() => {
 *   class QuotaError extends Error {}
 *   throw new QuotaError("too much");
 * });
 * assertInstanceOf(future.exception(), QuotaError);
 * ```
 *
 * @param errorClass The class, by its name.
 * @throws {TypeError} It is not a named class that extends `Error`.
 */
// deno-lint-ignore no-explicit-any -- any constructor will do: it is never called
export function registerError(errorClass: abstract new (...args: any[]) => Error): void {
  if (
    typeof errorClass !== "function" || errorClass.name === "" ||
    !(errorClass.prototype instanceof Error)
  ) {
    throw new TypeError(
      `Cannot register what is not a named class that extends Error: ${Deno.inspect(errorClass)}`,
    );
  }
  registerClass(errorClass);
}
