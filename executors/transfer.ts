/**
 * {@linkcode transfer}: values that move to the worker, or back, instead of being copied.
 *
 * @module
 */

/** A value, and what moves with it. It stands where the value would stand, and arrives as the value. */
export class Transfer {
  /** The value. */
  readonly value: unknown;
  /** What moves. */
  readonly list: readonly Transferable[];
  readonly #isTransfer = true;

  /** Whether a thing is a transfer. This asks nothing of the thing, which may be a proxy. */
  static is(thing: object): thing is Transfer {
    return #isTransfer in thing;
  }

  /**
   * @param value The value.
   * @param list What moves.
   */
  constructor(value: unknown, list: readonly Transferable[]) {
    this.value = value;
    this.list = list;
  }
}

/**
 * Marks an argument, or what a task returns, so that buffers in it move instead of being copied; thread pools only. As
 * `postMessage` does, this detaches the buffers at once; where one cannot move, such as WebAssembly's memory, the
 * future fails. What else the structured clone transfers (ports, streams) can move too, as a whole argument or a whole
 * result.
 *
 * @example There and back without a copy
 * ```ts
 * import { ThreadPoolExecutor, transfer } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const bytes = new Uint8Array([1, 2, 3]);
 * const future = pool.submit((b: Uint8Array) => b.length, transfer(bytes, [bytes.buffer]));
 * assertEquals(future.result(), 3);
 * assertEquals(bytes.length, 0);
 * ```
 *
 * @typeParam T The value's type.
 * @param value What arrives.
 * @param list What moves; each must be part of the value.
 * @returns What you give to `submit`, or return from a task, in place of the value. To the type checker it is the
 * value.
 * @throws {TypeError} `list` is not an array.
 */
export function transfer<T>(value: T, list: readonly (Transferable | ArrayBufferLike)[]): T {
  if (!Array.isArray(list)) {
    throw new TypeError(`Cannot transfer what is not in an array: ${Deno.inspect(list)}`);
  }
  // In a primitive there is nothing that could move.
  return (Object(value) === value ? new Transfer(value, list as readonly Transferable[]) : value) as T;
}
