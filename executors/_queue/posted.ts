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
  const buffers = payload.sections.map(wholeBuffer);
  const { encoding } = payload;
  if (encoding === Encoding.NUMBER) return postedOf(payload.decoded());
  return { posted: { encoding, text: "", isEncoded: true, number: 0, buffers, shared: payload.shared }, list: buffers };
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
  if (isEncoded) return sectionsOf({ encoding, buffers, shared }).decoded();
  return new Encoded(encoding, text, number, buffers, shared, clone);
}

/** The payload of a message that came as bytes. */
export function sectionsOf(
  { encoding, buffers, shared }: Pick<PostedPayload, "encoding" | "buffers" | "shared">,
): EncodedSections {
  const payload = new EncodedSections(encoding, buffers.map((buffer) => new Uint8Array(buffer)));
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
