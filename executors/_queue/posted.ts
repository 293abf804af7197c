/**
 * Payloads as messages carry them: those that are too large for shared memory, or that hold what must be transferred;
 * and the forms in which a consumer wants what tasks carry.
 *
 * @module
 */

import { Encoded, EncodedSections, Encoding, wholeBuffer } from "../_values/encoded.ts";
import type { Memory } from "../_values/memory.ts";
import type { PostedPayload } from "./protocol.ts";

/** A payload in the form of a message, and what is to be transferred with it. */
export function toPosted(payload: Encoded | EncodedSections): { posted: PostedPayload; list: Transferable[] } {
  if (payload instanceof Encoded) return postedOf(payload);
  const { encoding, sections } = payload;
  if (encoding === Encoding.NUMBER) return postedOf(payload.decoded());
  // The memory of the text moves with what it is larger than that.
  const buffers = sections.map((bytes, i) => i === 0 ? beginningOf(bytes) : wholeBuffer(bytes));
  const number = sections.length === 0 ? 0 : sections[0].byteLength;
  return { posted: { encoding, text: "", isEncoded: true, number, buffers, shared: payload.shared }, list: buffers };
}

/** A buffer that begins with some bytes. */
function beginningOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.byteOffset === 0 ? bytes.buffer as ArrayBuffer : wholeBuffer(bytes);
}

function postedOf(payload: Encoded): { posted: PostedPayload; list: Transferable[] } {
  const { encoding, text, number, buffers, shared, clone } = payload;
  return {
    posted: { encoding, text, number, buffers, shared, clone },
    list: [...buffers, ...(clone?.list ?? [])],
  };
}

/** The payload of a message. */
export function fromPosted({ encoding, text, isEncoded, number, buffers, shared, clone }: PostedPayload): Encoded {
  if (isEncoded) {
    const payload = sectionsOf({ encoding, number, buffers, shared });
    const decoded = payload.decoded();
    payload.giveBack();
    return decoded;
  }
  return new Encoded(encoding, text, number, buffers, shared, clone);
}

/** The payload of a message that came as bytes. */
export function sectionsOf(
  { encoding, number, buffers, shared }: Pick<PostedPayload, "encoding" | "number" | "buffers" | "shared">,
): EncodedSections {
  const sections = buffers.map((buffer, i) => i === 0 ? new Uint8Array(buffer, 0, number) : new Uint8Array(buffer));
  const payload = new EncodedSections(encoding, sections);
  payload.shared = shared;
  return payload;
}

/** How a consumer wants what tasks carry. */
export interface Form<B> {
  /** Whether the consumer runs the tasks itself. */
  readonly runs: boolean;
  read(encoding: number, memory: Memory, offset: number, byteLength: number): B;
  fromPosted(posted: PostedPayload): B;
}

/** For who runs tasks. */
export const DECODED: Form<Encoded> = { runs: true, read: Encoded.read, fromPosted };

/** For who passes tasks on as they are decoded. */
export const PASSED_ON: Form<Encoded> = { ...DECODED, runs: false };

/** For who passes tasks on as bytes. */
export const ENCODED: Form<EncodedSections> = {
  runs: false,
  read: EncodedSections.read,
  fromPosted: (posted) => posted.isEncoded ? sectionsOf(posted) : EncodedSections.from(fromPosted(posted)),
};
