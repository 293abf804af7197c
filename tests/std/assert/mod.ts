/**
 * What this repository uses of `@std/assert`, from the build of it on npm: `imports` in deno.json put this in its
 * place, so that a machine without access to JSR can run everything. The npm build ships no types; `types.d.ts` adds
 * them.
 *
 * @module
 */

// @ts-types="./types.d.ts"
export {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
  unreachable,
} from "deno-std/assert/mod.js";
