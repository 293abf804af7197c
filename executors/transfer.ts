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
 * Moves buffers to a thread, or back, instead of copying them.
 *
 * Use it in place of an argument, or of the value that a task returns. It detaches the buffers at once, as
 * `postMessage` does. Ports and streams can also move, as a whole argument or a whole result.
 *
 * Only a {@linkcode ThreadPoolExecutor} can move memory. Other executors copy the bytes, and refuse ports and streams
 * with a {@linkcode SerializationError}.
 *
 * @example To a thread without a copy
 * ```ts
 * import { ThreadPoolExecutor, transfer } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const bytes = new Uint8Array([1, 2, 3]);
 * const sum = (bytes: Uint8Array) => bytes.reduce((a, b) => a + b);
 * const future = pool.submit(sum, transfer(bytes, [bytes.buffer]));
 * assertEquals(bytes.length, 0); // it has moved
 * assertEquals(future.result(), 6);
 * ```
 *
 * @typeParam T The type of the value.
 * @param value The value to send.
 * @param list What to move. Each item must be a part of the value.
 * @returns A stand-in that arrives as the value. For TypeScript it has the type of the value.
 * @throws {TypeError} If `list` is not an array.
 * @see {@link https://developer.mozilla.org/en-US/docs/Web/API/Web_Workers_API/Transferable_objects | MDN}
 */
export function transfer<T>(value: T, list: readonly (Transferable | ArrayBufferLike)[]): T {
  if (!Array.isArray(list)) {
    throw new TypeError(`The list of what transfer() moves must be an array: ${Deno.inspect(list)}`);
  }
  // In a primitive there is nothing that could move.
  return (Object(value) === value ? new Transfer(value, list as readonly Transferable[]) : value) as T;
}
