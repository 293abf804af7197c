/**
 * How messages show values.
 *
 * @module
 */

/** A value as shown in an error message. */
export function inspect(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  try {
    return Deno.inspect(value, { depth: 1 });
  } catch {
    // It says by itself how it is shown, and fails.
    return typeName(value);
  }
}

/** The class of an object, the name of an error, or the type of anything else. */
export function typeName(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  try {
    if (value instanceof Error) return String(value.name);
    return value.constructor?.name || "Object";
  } catch {
    return "object";
  }
}
