/**
 * {@linkcode registerError}: which classes errors of tasks arrive as.
 *
 * @module
 */

import { registerClass } from "./_values/error_codec.ts";

/**
 * Makes errors of a class that tasks throw arrive as instances of it. Without it an error arrives as the nearest
 * class that is known: a built-in one, of `Deno.errors`, or of this module. To be called where
 * the executor is used, not in the worker. The class is found by its name; its constructor is not called.
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
