/**
 * The numbers by which a pool's workers know its functions, and how long an item of each takes.
 *
 * @module
 */

import { ensureStack, LOADING } from "../../futures/stack.ts";
import { type Definition, definitionKey } from "../_functions/definition.ts";
import { describe } from "../_functions/describe.ts";
import type { BoundArguments, ConsumerMessage } from "../_queue/protocol.ts";
import type { PoolKind } from "./kind.ts";

// deno-lint-ignore ban-types -- any function will do
export type AnyFunction = Function;

/** The functions of one pool. */
export class Functions {
  readonly #kind: PoolKind;
  readonly #tellWorkers: (message: ConsumerMessage) => void;
  /** The definitions of all functions; a function's number is its index. */
  readonly definitions: Definition[] = [];
  readonly #numbers = new WeakMap<AnyFunction, number>();
  readonly #numbersByDefinition = new WeakMap<Definition, number>();
  readonly #numbersByKey = new Map<string, number>();
  /** How many milliseconds an item of a function takes, by the function's number. */
  readonly #msPerItem = new Map<number, number>();
  /** The arguments that are bound to functions, and the numbers of these functions without them. */
  readonly bound = new Map<number, BoundArguments>();
  readonly #unbound = new Map<number, number>();
  /** Unbinds those of maps that nobody has read to the end, nor can any more. */
  #forgotten: FinalizationRegistry<number> | undefined;

  constructor(kind: PoolKind, tellWorkers: (message: ConsumerMessage) => void) {
    this.#kind = kind;
    this.#tellWorkers = tellWorkers;
  }

  /**
   * The number of a function. Workers are told of one that they do not know yet.
   *
   * @param onNew Called before a function is described, which takes milliseconds.
   * @throws {TaskNotFoundError} It cannot be described.
   */
  define(fn: AnyFunction, onNew?: () => void): number {
    let number = this.#numbers.get(fn);
    if (number !== undefined) return number;
    onNew?.();
    // Functions that are made anew for each call share a definition, or have one that is equal.
    const definition = describe(fn, this.#kind.checkDefinition !== undefined);
    this.#kind.checkDefinition?.(definition);
    number = this.#numbersByDefinition.get(definition);
    if (number === undefined) {
      const key = definitionKey(definition);
      number = this.#numbersByKey.get(key);
      if (number === undefined) {
        ensureStack(LOADING);
        number = this.definitions.length;
        // First: what is known here and not there would be waited for.
        this.#tellWorkers({ type: "define", fn: number, definition });
        this.definitions.push(definition);
        this.#numbersByKey.set(key, number);
      }
      this.#numbersByDefinition.set(definition, number);
    }
    this.#numbers.set(fn, number);
    return number;
  }

  /**
   * Makes a function of another one, all of whose calls have the same arguments in some places.
   *
   * @returns What stands for it here. It must be unbound when no task calls it any more.
   * @throws {TaskNotFoundError} The other one cannot be described.
   */
  bind(fn: AnyFunction, bound: BoundArguments): AnyFunction {
    const unbound = this.define(fn);
    const definition = this.definitions[unbound];
    ensureStack(LOADING);
    // Never a number that was another function's, or will be where a message cannot be sent: a worker may know that.
    const number = this.definitions.push(definition) - 1;
    this.#tellWorkers({ type: "bind", fn: number, bound });
    this.#tellWorkers({ type: "define", fn: number, definition });
    this.bound.set(number, bound);
    this.#unbound.set(number, unbound);
    const standIn = Object.defineProperty(() => {}, "name", { value: fn.name });
    this.#numbers.set(standIn, number);
    this.#forgotten ??= new FinalizationRegistry((number) => this.#unbind(number));
    this.#forgotten.register(standIn, number);
    return standIn;
  }

  /** Ends {@linkcode bind}: workers forget the arguments. */
  unbind(standIn: AnyFunction): void {
    this.#unbind(this.#numbers.get(standIn)!);
  }

  #unbind(number: number): void {
    if (!this.bound.delete(number)) return;
    this.#unbound.delete(number);
    this.#tellWorkers({ type: "unbind", fn: number });
  }

  /** What a function is called. */
  nameOf(number: number): string {
    return this.definitions[number].name || "anonymous";
  }

  /** How many milliseconds an item of a function takes, if it was mapped before. */
  msPerItem(fn: AnyFunction): number | undefined {
    const number = this.#numbers.get(fn);
    return number === undefined ? undefined : this.#msPerItem.get(this.#unbound.get(number) ?? number);
  }

  /** Learns how many milliseconds an item took. */
  learn(number: number, ms: number): void {
    number = this.#unbound.get(number) ?? number;
    // What it took of late counts more: the first calls of a function are slow.
    this.#msPerItem.set(number, (ms + (this.#msPerItem.get(number) ?? ms)) / 2);
  }
}
