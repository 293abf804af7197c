/**
 * The classes of `Temporal`, which not every Deno has: each is looked up when it is wanted.
 *
 * @module
 */

type TemporalClass = { prototype: object; from(text: string): object };

const CLASSES = [
  "Duration",
  "Instant",
  "PlainDate",
  "PlainTime",
  "PlainDateTime",
  "PlainMonthDay",
  "PlainYearMonth",
  "ZonedDateTime",
];

/** The class of that name. */
export function temporalClass(name: string): TemporalClass | undefined {
  if (!CLASSES.includes(name)) return undefined;
  return (globalThis as unknown as { Temporal?: { [name: string]: TemporalClass } }).Temporal?.[name];
}

/** The name of the class that has a prototype. */
export function temporalNameOf(prototype: object | null): string | undefined {
  const tag = (prototype as { [Symbol.toStringTag]?: unknown } | null)?.[Symbol.toStringTag];
  if (typeof tag !== "string" || !tag.startsWith("Temporal.")) return undefined;
  const name = tag.slice("Temporal.".length);
  return temporalClass(name)?.prototype === prototype ? name : undefined;
}
