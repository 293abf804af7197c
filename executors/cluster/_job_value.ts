/**
 * Values as they lie in jobs, in results and in messages: JSON that a program in any language can read and write.
 *
 * @module
 */

import { EMPTY, Encoded, Encoding, wholeBuffer } from "../_values/encoded.ts";

/** A value in a job: the arguments of a task, what it returns or throws, or what it reports of its progress. */
export type JobValue =
  /** Nothing: no arguments, or `undefined`. */
  | null
  /** JSON; where it stands for arguments, a list of them. */
  | { readonly json: unknown }
  | { readonly text: string }
  | { readonly number: number }
  /** What JSON cannot say: encoded as for a process, with its buffers in Base64. */
  | { readonly encoding: number; readonly text: string; readonly buffers: readonly string[] };

/** Makes an encoded value into JSON. */
export function toJobValue({ encoding, text, number, buffers }: Encoded): JobValue {
  switch (encoding) {
    case Encoding.NONE:
      return null;
    case Encoding.JSON:
      return { json: JSON.parse(text) };
    case Encoding.TEXT:
      return { text };
    case Encoding.NUMBER:
      if (Number.isFinite(number) && !Object.is(number, -0)) return { number };
      return { encoding, text: Object.is(number, -0) ? "-0" : String(number), buffers: [] };
    default:
      return { encoding, text, buffers: buffers.map((buffer) => new Uint8Array(buffer).toBase64()) };
  }
}

/**
 * Reads what {@linkcode toJobValue} has made. It may come from anybody who can write to the server.
 *
 * @throws {TypeError} It is no such value.
 */
export function fromJobValue(value: unknown): Encoded {
  if (value === null) return EMPTY;
  if (typeof value === "object") {
    const { json, text, number, encoding, buffers } = value as { [name: string]: unknown };
    if (json !== undefined) return new Encoded(Encoding.JSON, JSON.stringify(json));
    if (typeof number === "number") return new Encoded(Encoding.NUMBER, "", number);
    if (typeof text === "string") {
      if (encoding === undefined) return new Encoded(Encoding.TEXT, text);
      if (encoding === Encoding.NUMBER) return new Encoded(Encoding.NUMBER, "", Number(text));
      const hasOneBuffer = encoding === Encoding.BYTES || encoding === Encoding.NUMBERS;
      if (
        (encoding === Encoding.GRAPH || encoding === Encoding.PARTS || hasOneBuffer) && Array.isArray(buffers) &&
        buffers.every((buffer) => typeof buffer === "string") && (!hasOneBuffer || buffers.length === 1)
      ) return new Encoded(encoding, text, 0, buffers.map((buffer) => wholeBuffer(Uint8Array.fromBase64(buffer))));
    }
  }
  throw new TypeError(`Cannot read an invalid value of a job: ${shortened(value)}`);
}

/** JSON for the text of an error. */
export function shortened(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 200);
}
