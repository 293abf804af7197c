/**
 * Whether there is stack left.
 *
 * @module
 */

/** How deep to look: some 8 KiB, for a few calls. */
export const CALLS = 50;
/**
 * Some 100 KiB, for what is used for the first time: V8 then compiles it, and Deno loads a part of itself and would
 * stay broken.
 */
export const LOADING = 500;

/**
 * Throws the error of a stack overflow now, before anything is changed, where the stack might overflow in the midst of
 * what comes next: no `catch` could put that right, as it takes calls, too. Takes a fraction of a microsecond, and
 * with {@linkcode LOADING} some.
 *
 * @throws {RangeError} There is little stack left.
 */
export function ensureStack(depth: number = CALLS): void {
  descend(depth, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

// The arguments only take room. V8 does not inline a function into itself.
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
