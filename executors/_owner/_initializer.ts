/**
 * What workers call before their first task.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import { toPosted } from "../_queue/posted.ts";
import type { Initializer } from "../_queue/protocol.ts";
import { encodeArguments, type EncodeOptions } from "../_values/codec.ts";
import { Transfer } from "../transfer.ts";
import type { Functions } from "./_functions.ts";
import type { InitializerCall } from "./kind.ts";

/**
 * Encodes the initializer's arguments now; what cannot be sent breaks the pool when its first worker starts.
 *
 * @throws {SerializationError} They move what only one worker could get.
 */
export function prepareInitializer(
  { fn, args }: InitializerCall,
  functions: Functions,
  options: EncodeOptions,
): () => Initializer {
  for (const [i, arg] of args.entries()) {
    if (!(arg instanceof Transfer) || arg.list.every((item) => item instanceof ArrayBuffer)) continue;
    const path = `initargs[${i}]`;
    throw new SerializationError(
      `Cannot send ${path} to several workers: only buffers can be copied for each. ` +
        "To fix it, send the rest as the arguments of a task",
      path,
    );
  }
  try {
    // The function first: what moves with the arguments would be gone in vain.
    const number = functions.define(fn);
    const payload = encodeArguments(args, options);
    payload.takeMoved("args");
    const prepared = { fn: number, payload: toPosted(payload).posted };
    return () => prepared;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
