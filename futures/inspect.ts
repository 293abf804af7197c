/**
 * Values in messages.
 *
 * @module
 */

/** A value as shown in an error message. */
export function inspect(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : Deno.inspect(value, { depth: 1 });
}
