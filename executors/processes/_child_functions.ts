/**
 * What a child knows of functions, and of the arguments that all calls of one have.
 *
 * @module
 */

import type { Definition } from "../_functions/definition.ts";
import type { EncodedSections } from "../_values/encoded.ts";
import type { ChildProcess } from "./_child_process.ts";

/** What there is to know. */
export interface FunctionSource {
  definition(fn: number): Definition;
  /** The arguments that all calls of a function have, where there are some. */
  boundTo(fn: number): { places: number[]; payload: EncodedSections } | undefined;
}

/** The functions of one child. */
export class ChildFunctions {
  readonly #process: ChildProcess;
  readonly #source: FunctionSource;
  readonly #known = new Set<number>();
  /** How many bytes of arguments the child got that are bound to functions, with the last tasks that it got. */
  boundBytes = 0;

  constructor(process: ChildProcess, source: FunctionSource) {
    this.#process = process;
    this.#source = source;
  }

  /** The child gets tasks: {@linkcode define} follows for the function of each. */
  beginTasks(): void {
    this.boundBytes = 0;
  }

  /** Tells it of a function that it does not know. */
  define(fn: number): void {
    if (this.#known.has(fn)) return;
    this.#known.add(fn);
    const bound = this.#source.boundTo(fn);
    if (bound !== undefined) {
      this.boundBytes += bound.payload.room;
      this.#process.send(["bind", fn, bound.places, bound.payload.encoding], bound.payload);
    }
    this.#process.send(["define", fn, this.#source.definition(fn)]);
  }

  /** Has it forget a function that no task calls any more. */
  unbind(fn: number): void {
    if (this.#known.delete(fn)) this.#process.send(["unbind", fn]);
  }
}
