/**
 * Arguments that are the same for all items of a map.
 *
 * @module
 */

import { decodeItems, encodeConstants, type EncodeOptions } from "../_values/codec.ts";
import type { Encoded } from "../_values/encoded.ts";
import { Memory } from "../_values/memory.ts";
import type { BoundArguments } from "../_queue/protocol.ts";
import { Transfer } from "../transfer.ts";

/** Arguments that many calls have, by their places. */
export type Constants = ReadonlyMap<number, unknown>;

/** Arguments as they were at the call of `map`. */
interface Copied {
  /** Those that are to be sent to each worker once; `undefined` when all of them are small. */
  readonly bound: BoundArguments | undefined;
  /** What stands in their places in what is sent for an item. */
  readonly standIns: Constants;
}

/**
 * Copies arguments, if they are large or may change before the last call. Where one of them cannot cross, all are left:
 * each item is refused for it.
 *
 * @param maxSmall How large arguments may be that are sent with each item.
 */
export function copyConstants(
  constants: Constants,
  mayChange: boolean,
  maxSmall: number,
  options: EncodeOptions,
): Copied {
  const places = [...constants.keys()].filter((place) => isCopied(constants.get(place), maxSmall));
  if (places.length === 0 || (!mayChange && maxSmall === Infinity)) return { bound: undefined, standIns: constants };
  const standIns = new Map(constants);
  try {
    const payload = encodeConstants(places.map((place) => constants.get(place)), options);
    // Memory that is shared with a task is known to the workers only while that task is there.
    const isSmall = payload.room <= maxSmall || payload.shared.length > 0;
    if (isSmall && !mayChange) return { bound: undefined, standIns: constants };
    const copies = isSmall ? decodeItems(payload).get(0) as unknown[] : places.map(() => null);
    const bound = isSmall ? undefined : moveOut(payload, places);
    places.forEach((place, i) => standIns.set(place, copies[i]));
    return { bound, standIns };
  } catch {
    return { bound: undefined, standIns: constants };
  }
}

/** Whether a value can change, or is large. What is transferred goes with the first item, as it does from a list. */
function isCopied(value: unknown, maxSmall: number): boolean {
  if (typeof value === "string") return value.length * 3 > maxSmall;
  return typeof value === "object" && value !== null && !Transfer.is(value);
}

function moveOut(payload: Encoded, places: number[]): BoundArguments {
  const memory = new SharedArrayBuffer(payload.room);
  const byteLength = payload.write(new Memory(memory), 0);
  return { places, encoding: payload.encoding, byteLength, memory };
}
