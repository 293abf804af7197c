/**
 * Functions some of whose arguments are the same in all calls.
 *
 * @module
 */

import { explainAs, type TaskFunction } from "../_functions/resolve.ts";
import { decodeItems } from "../_values/codec.ts";
import type { Encoded } from "../_values/encoded.ts";

/** Arguments that are the same in all calls, and which ones they are. */
export interface BoundArgs {
  readonly places: readonly number[];
  readonly payload: Encoded;
}

/** A function that is called with other arguments in some places: made anew for each call, which may change them. */
export function withBound(fn: TaskFunction, { places, payload }: BoundArgs): TaskFunction {
  const constants = decodeItems(payload);
  const bound = (...args: unknown[]) => {
    const values = constants.get(0) as unknown[];
    for (let i = 0; i < places.length; i++) args[places[i]] = values[i];
    return fn(...args);
  };
  explainAs(bound, fn);
  return Object.defineProperty(bound, "name", { value: fn.name });
}
