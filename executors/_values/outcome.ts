/**
 * Encodes the outcome of a task or of a chunk, whatever its getters do meanwhile.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import { type Encoded, Encoding } from "./encoded.ts";
import { type ChunkOutcome, encodeJson, encodeNumbers, encodeValue } from "./codec.ts";
import { isExit, outcomeOf } from "../../futures/task_exit.ts";
import type { EncodeOptions } from "./_graph_writer.ts";
import { joinParts } from "./_parts.ts";

/** Calls a function that encodes. It also throws where the task has ended meanwhile, as a getter can end it. */
type Attempt = <T>(encode: () => T) => T;
const simply: Attempt = (encode) => encode();

/**
 * Encodes the outcome of a chunk, up to the first result that cannot cross: its refusal is the error then.
 *
 * Each result is encoded once, because what it moves is gone then, and by itself, so that results which share an object
 * arrive as they do when each is sent alone. They are encoded together only where neither could show.
 */
export function encodeOutcome(
  [results, ...errors]: ChunkOutcome,
  sameProcess: boolean,
  attempt: Attempt = simply,
  task?: string,
): Encoded {
  if (errors.length === 0) {
    try {
      const whole = encodeNumbers(results) ?? attempt(() => encodeJson([results]));
      if (whole !== undefined) return whole;
    } catch (error) {
      // One of the results has thrown it. The loop below finds out which, if it throws again; else all results are
      // there.
      errors = [error];
    }
  }
  const parts: Encoded[] = [];
  for (const result of results) {
    try {
      parts.push(attempt(() => encodeMoved(result, sameProcess, task)));
    } catch (error) {
      errors = [error];
      break;
    }
  }
  const error = errors.length === 0 ? undefined : encodeError(errors[0], sameProcess, attempt);
  try {
    return joinParts(parts, error);
  } catch (error) {
    // All together they are too long for a text, although none of them is.
    return joinParts([], encodeError(tooLong(error), sameProcess));
  }
}

/**
 * Encodes the outcomes of a chunk in which a failure ends nothing, of which each is encoded already.
 *
 * @param failed The places of those that are errors.
 * @throws {SerializationError} All together they are too long for a text.
 */
export function encodeSettled(outcomes: readonly Encoded[], failed: readonly number[]): Encoded {
  if (failed.length === 0 && outcomes.every(({ encoding }) => encoding === Encoding.NUMBER)) {
    return encodeNumbers(outcomes.map(({ number }) => number)) ?? joinParts([], undefined);
  }
  try {
    return joinParts(outcomes, undefined, failed);
  } catch (error) {
    throw tooLong(error);
  }
}

function tooLong(error: unknown): SerializationError {
  return new SerializationError(`Cannot send the results of a chunk: ${error}`, "result", { cause: error });
}

function encodeMoved(result: unknown, sameProcess: boolean, task: string | undefined): Encoded {
  const payload = encodeValue(result, { root: "result", sameProcess, task });
  payload.takeMoved("result");
  return payload;
}

/**
 * Encodes what a task threw. Where that cannot cross, this encodes the refusal; where the task has ended meanwhile, its
 * outcome.
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
  // Even the refusal has a cause whose getter ends the task.
  return encodeValue(new SerializationError("Cannot send error: one of its getters ended the task", "error"), options);
}
