/**
 * The form in which values that JSON cannot say cross: JSON text in which each object is a record that refers to others
 * by their numbers, with bytes beside it.
 *
 * The text is a list: whether items share objects (0 or 1), the value, and then for each object a {@linkcode Code} and
 * what that says. Texts, finite numbers, booleans and `null` stand for themselves. `[7]` is object 7, `[-1]` a
 * {@linkcode Special} value, and `["7"]` a bigint. Items that share objects are each made with objects of their own.
 *
 * @module
 */

/** What an object is, and what is said of it. A slot is a value, as above. */
export const Code = {
  /** The slots of a list without holes. */
  ARRAY: 0,
  /** A slot for each key. */
  OBJECT: 1,
  /** Any other list: its length, then a key and a slot for each item and each other property. */
  LOOSE: 2,
  /** An object with keys that JSON, or V8's reading of it, does not keep: a key and a slot for each. */
  KEYED: 3,
  /** The same, of an object without a prototype. */
  BARE: 4,
  /** A slot for each key and for each value. */
  MAP: 5,
  SET: 6,
  /** The names of its classes, name, message, stack, the names of hidden properties; then a name and a slot of each. */
  ERROR: 7,
  /** Milliseconds, or `null`. */
  DATE: 8,
  /** Source, flags, and the slot of `lastIndex`. */
  REGEXP: 9,
  URL: 10,
  PARAMS: 11,
  /** The slot of what is boxed. */
  BOXED: 12,
  /** The name of its class, and its text. */
  TEMPORAL: 13,
  /** Which of the buffers beside the text, and how long it may become. */
  BUFFER: 14,
  /** Its class, the slot of its buffer, where it begins, and its length, unless that is the buffer's. */
  VIEW: 15,
  /** A view whose part of a buffer is all that crosses: its class, which of the buffers, its length. */
  PART: 16,
  /** Which piece of shared memory. */
  SHARED: 17,
  /** Which of the things that move, and are no buffers. */
  MOVED: 18,
  /** A long text. */
  TEXT: 19,
} as const;

/** Values that are no objects and that JSON cannot say. */
export const Special = { UNDEFINED: -1, NAN: -2, INFINITY: -3, MINUS_INFINITY: -4, MINUS_ZERO: -5 } as const;

/** Where the first object stands in the list. */
export const FIRST = 2;

/**
 * Whether JSON writes a key of one UTF-16 unit by an escape. V8 15.0 reads such a key as another one when it has read
 * an object with the same keys before it and another such key:
 * `JSON.parse('{"a":1,"\\\\":2}'); JSON.parse('{"a":1,"\\n":2}')` gives a backslash for the line feed. So they are not
 * written as keys.
 */
export function isEscaped(key: string): boolean {
  const unit = key.charCodeAt(0);
  return unit < 32 || unit === 34 || unit === 92 || (unit >= 0xd800 && unit <= 0xdfff);
}

/** Whether a key is not to be written as one. */
export function isDoubtful(key: string): boolean {
  return key === "__proto__" || (key.length === 1 && isEscaped(key));
}

type TemporalClass = { prototype: object; from(text: string): object };

const TEMPORAL_CLASSES = [
  "Duration",
  "Instant",
  "PlainDate",
  "PlainTime",
  "PlainDateTime",
  "PlainMonthDay",
  "PlainYearMonth",
  "ZonedDateTime",
];

/** The class of `Temporal` of that name. Looked up when it is wanted: not every Deno has it. */
export function temporalClass(name: string): TemporalClass | undefined {
  if (!TEMPORAL_CLASSES.includes(name)) return undefined;
  return (globalThis as unknown as { Temporal?: { [name: string]: TemporalClass } }).Temporal?.[name];
}

/** The name of the class of `Temporal` that has a prototype. */
export function temporalClassOf(prototype: object): string | undefined {
  const tag = (prototype as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  if (typeof tag !== "string" || !tag.startsWith("Temporal.")) return undefined;
  const name = tag.slice("Temporal.".length);
  return temporalClass(name)?.prototype === prototype ? name : undefined;
}
