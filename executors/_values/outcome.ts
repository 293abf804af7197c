/**
 * Encodes what became of a task or of a chunk of them, whatever that does while it is encoded.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import type { Encoded } from "./encoded.ts";
import { type ChunkOutcome, encodeJson, encodeNumbers, encodeValue } from "./codec.ts";
import { isExit, outcomeOf } from "../../futures/task_exit.ts";
import type { EncodeOptions } from "./_graph_writer.ts";
import { joinParts } from "./_parts.ts";

/** How something is encoded; throws also what has ended the task meanwhile, which getters can do. */
type Attempt = <T>(encode: () => T) => T;
const simply: Attempt = (encode) => encode();

/**
 * Encodes what a chunk gave, up to the first result that cannot cross, whose refusal is then the error.
 *
 * Each result is encoded by itself and once: what it moves is gone with that, so nothing can be encoded on trial, and
 * results that share an object arrive as they do when each of them is sent alone. Only where nothing of that can show
 * are they encoded as one.
 */
export function encodeOutcome(
  [results, ...errors]: ChunkOutcome,
  sameProcess: boolean,
  attempt: Attempt = simply,
): Encoded {
  if (errors.length === 0) {
    try {
      const whole = encodeNumbers(results) ?? attempt(() => encodeJson([results]));
      if (whole !== undefined) return whole;
    } catch (error) {
      // It belongs to one of them: they say below to which. If it does not come again, it came when all of them were
      // there.
      errors = [error];
    }
  }
  const parts: Encoded[] = [];
  for (const result of results) {
    try {
      parts.push(attempt(() => encodeMoved(result, sameProcess)));
    } catch (error) {
      errors = [error];
      break;
    }
  }
  const error = errors.length === 0 ? undefined : encodeError(errors[0], sameProcess, attempt);
  try {
    return joinParts(parts, error);
  } catch (error) {
    // None of them is too long, but all together are.
    const refusal = new SerializationError(`Cannot send the results of a chunk: ${error}`, "result", { cause: error });
    return joinParts([], encodeError(refusal, sameProcess));
  }
}

function encodeMoved(result: unknown, sameProcess: boolean): Encoded {
  const payload = encodeValue(result, { root: "result", sameProcess });
  payload.takeMoved("result");
  return payload;
}

/**
 * Encodes what a task threw, or why that cannot cross, or what has ended the task meanwhile: see {@linkcode
 * encodeOutcome}.
 */
export function encodeError(error: unknown, sameProcess: boolean, attempt: Attempt = simply): Encoded {
  const options: EncodeOptions = { root: "error", sameProcess };
  for (const how of [attempt, simply]) {
    try {
      return how(() => encodeValue(error, options));
    } catch (refusal) {
      error = isExit(refusal) ? outcomeOf(refusal) : refusal;
    }
  }
  // Even the refusal has a cause with such a getter.
  return encodeValue(new SerializationError("Cannot send error: a getter of it ends the task", "error"), options);
}
