/**
 * Where tasks were submitted, for their errors. To look at the call stack takes about twice as long as a quick task
 * costs, so it is done where the user wants it.
 *
 * @module
 */

import { type Future, internals, type TaskOrigin } from "../../futures/future.ts";
import { stackText, withFrames, withoutOwnFrames } from "../../futures/own_frames.ts";
import { ensureStack, LOADING } from "../../futures/stack.ts";
import type { TaskOptions } from "../task_options.ts";

/** So many frames are kept, those of this library included. */
const MAX_FRAMES = 20;

/** Options of tasks, and where these are submitted. */
export interface NotedOptions extends TaskOptions {
  readonly origin?: TaskOrigin;
}

/** A call that has submitted tasks. */
export class Submission implements TaskOrigin {
  /** Its stack is made a text when it is read, which takes longer than all the rest. */
  readonly #error = withFrames(MAX_FRAMES, () => new Error());
  #lines: string | undefined;

  /** The end of a stack: where the call was, and who called that. */
  get lines(): string {
    return this.#lines ??= linesOf(this.#error);
  }

  addTo(error: unknown): void {
    if (error instanceof Error) setStack(error, () => `${error.stack}${this.lines}`);
  }

  /** As {@linkcode addTo}, for an error that was made in the call: nothing else of its stack says more. */
  replaceIn(error: unknown): void {
    if (error instanceof Error) setStack(error, () => headOf(error) + this.lines);
  }
}

/** The text of a stack above its frames. */
function headOf({ stack, message }: Error): string {
  const text = String(stack);
  const place = text.indexOf(message);
  const end = text.indexOf("\n", place < 0 ? 0 : place + message.length);
  return end < 0 ? text : text.slice(0, end);
}

function setStack(error: Error, textOf: () => string): void {
  try {
    // Deno writes the text of a stack with much of its own code, and complains where that overflows.
    ensureStack(LOADING);
    Object.defineProperty(error, "stack", { value: textOf(), writable: true, enumerable: false, configurable: true });
  } catch {
    // It stays as it is.
  }
}

function linesOf(error: Error): string {
  const [, first = "", ...others] = withoutOwnFrames(stackText(error)).split("\n");
  const place = / \((.*)\)$/.exec(first) ?? / at (?:async )?(.*)$/.exec(first);
  return place === null ? "" : [`\n    submitted at ${place[1]}`, ...others].join("\n");
}

/** Says in the error of a future where its task was submitted, if that is known. */
export function withSubmission<E>(future: Future<unknown>, error: E): E {
  internals.controlOf(future)?.origin?.addTo(error);
  return error;
}
