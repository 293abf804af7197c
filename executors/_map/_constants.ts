/**
 * Inputs of a map that give the same value for each item.
 *
 * @module
 */

import { Repeat } from "../repeat.ts";
import type { MapTarget } from "./_results.ts";

type AnyIterable = Iterable<unknown> | AsyncIterable<unknown>;

/**
 * Has an executor take what is the same for all items once, where it can.
 *
 * @param isReadLater Whether items are still to be read when the call of `map` is over.
 * @returns Where the items go, and the inputs that give them.
 * @throws {RangeError} The inputs would be read for ever.
 */
export function withConstants(
  target: MapTarget,
  inputs: AnyIterable[],
  isReadLater: boolean,
): { target: MapTarget; inputs: AnyIterable[] } {
  const repeats = new Map<number, Repeat<unknown>>();
  for (const [place, input] of inputs.entries()) if (input instanceof Repeat) repeats.set(place, input);
  if (repeats.size === 0) return { target, inputs };
  const least = Math.min(...repeats.values().map(({ left }) => left));
  if (repeats.size === inputs.length && least === Infinity && !isReadLater) {
    throw new RangeError(
      "Cannot map over endless inputs only. To fix it, give repeat() a number of times, or map() a buffersize",
    );
  }
  if (least === 0 || target.bind === undefined) return { target, inputs };
  const bound = target.bind(new Map(repeats.entries().map(([place, { value }]) => [place, value])), isReadLater);
  const instead = inputs.map((input, place) => {
    const repeat = repeats.get(place);
    if (repeat === undefined) return input;
    const value = bound.standIns.get(place);
    return repeat.value === value ? input : standIn(repeat, value);
  });
  return { target: bound.target, inputs: instead };
}

/** Reads a repeat as it would be, and gives another value. */
function* standIn(repeat: Repeat<unknown>, value: unknown): Generator<unknown> {
  while (!repeat.next().done) yield value;
}
