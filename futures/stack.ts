/**
 * Whether there is stack left.
 *
 * @module
 */

/** A depth of calls, with room for a few more: some 8 KiB. */
export const CALLS = 50;
/**
 * A depth for what is used for the first time, some 100 KiB: V8 compiles it then, and Deno loads a part of itself,
 * which would stay broken where the stack overflows meanwhile.
 */
export const LOADING = 500;

/**
 * Throws the error of a stack overflow now, before anything is changed, where the stack might overflow in the midst of
 * what comes next: no `catch` could put that right, as it takes calls, too. This takes a fraction of a microsecond, and
 * some microseconds with {@linkcode LOADING}.
 *
 * @throws {RangeError} There is little stack left.
 */
export function ensureStack(depth: number = CALLS): void {
  descend(depth, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

// The arguments are there to take room. V8 does not inline a function into itself.
function descend(
  depth: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  g: number,
  h: number,
  i: number,
  j: number,
  k: number,
  l: number,
): number {
  return depth === 0 ? 0 : 1 + descend(depth - 1, a, b, c, d, e, f, g, h, i, j, k, l);
}
