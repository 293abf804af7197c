/**
 * The form of a graph, in which values cross that JSON cannot say: JSON text in which each object is a record that
 * refers to others by their numbers, with buffers beside the text.
 *
 * The text is a list: flags (`GraphFlag`), the slot of the value, and then for each object the code of
 * its type, and what that says of it (see `_types.ts`). In a slot, texts, finite numbers, booleans and `null` stand for
 * themselves, `[7]` for object 7, `[-1]` for a {@linkcode Special} value, and `["7"]` for a bigint. Where items share
 * objects, the receiver makes these for each item.
 *
 * @module
 */

/** Values that JSON cannot say and that are no objects. */
export const Special = { UNDEFINED: -1, NAN: -2, INFINITY: -3, MINUS_INFINITY: -4, MINUS_ZERO: -5 } as const;

/** What the first item of the list says. */
export const GraphFlag = {
  /** Items share objects, which the receiver makes for each item. */
  APART: 1,
  /** There are objects that lie in shared memory, whose classes the receiver must have loaded. */
  OBJECTS: 2,
} as const;

/** Where the first object stands in the list. */
export const FIRST = 2;

/**
 * Whether JSON writes a key of one UTF-16 unit by an escape. V8 15.0 reads such a key as another one when it has read
 * an object with the same keys before it and another such key:
 * `JSON.parse('{"a":1,"\\\\":2}'); JSON.parse('{"a":1,"\\n":2}')` gives a backslash for the line feed. So no text has
 * such a key.
 */
export function isEscaped(key: string): boolean {
  const unit = key.charCodeAt(0);
  return unit < 32 || unit === 34 || unit === 92 || (unit >= 0xd800 && unit <= 0xdfff);
}

/** Whether no object of the text can have a key, because it would not arrive. */
export function isDoubtful(key: string): boolean {
  return key === "__proto__" || (key.length === 1 && isEscaped(key));
}
