/**
 * Arguments that all calls of a function have, as a consumer knows them.
 *
 * @module
 */

import { Memory } from "../_values/memory.ts";
import type { Form } from "./posted.ts";
import type { BoundArguments, ConsumerMessage } from "./protocol.ts";

/** What is bound to the functions of a pool. */
export class Bound<B> {
  readonly #form: Form<B>;
  readonly #all: Map<number, BoundArguments>;

  constructor(form: Form<B>, all: Map<number, BoundArguments>) {
    this.#form = form;
    this.#all = all;
  }

  receive(message: Extract<ConsumerMessage, { type: "bind" | "unbind" }>): void {
    if (message.type === "bind") this.#all.set(message.fn, message.bound);
    else this.#all.delete(message.fn);
  }

  /** Reads what is bound to a function; `undefined` for nothing. */
  of(fn: number): { places: number[]; payload: B } | undefined {
    const bound = this.#all.get(fn);
    if (bound === undefined) return undefined;
    const { places, encoding, byteLength, memory } = bound;
    return { places, payload: this.#form.read(encoding, new Memory(memory), 0, byteLength) };
  }
}
