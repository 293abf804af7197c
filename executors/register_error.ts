/**
 * {@linkcode registerError}: the classes of which errors of tasks arrive.
 *
 * @module
 */

import { registerClass } from "./_values/error_codec.ts";

/**
 * Registers an error class, so that errors of that class arrive from tasks as its instances.
 *
 * Other errors arrive as instances of the nearest known class: a built-in one, one of `Deno.errors`, or one of this
 * package. They always keep their `name`, `message`, fields and `cause`.
 *
 * Register the class in the program that submits; workers do not need it. It is found by its name, and its constructor
 * is not called.
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
 * @param errorClass The class. It replaces a class that is registered under the same name.
 * @throws {TypeError} If it is not a class with a name that extends `Error`.
 */
// deno-lint-ignore no-explicit-any -- any constructor will do: it is never called
export function registerError(errorClass: abstract new (...args: any[]) => Error): void {
  if (
    typeof errorClass !== "function" || errorClass.name === "" ||
    !(errorClass.prototype instanceof Error)
  ) {
    throw new TypeError(
      `Cannot register a value that is not a named class that extends Error: ${Deno.inspect(errorClass)}`,
    );
  }
  registerClass(errorClass);
}
