/** What tests of `sync` share: other holders on this thread, and waits that are driven step by step. */
import { fail } from "@std/assert";
import * as kept from "../../futures/builtins.ts";
import { createLife, endLife, HolderState, holding, leave, type Life, live } from "../../executors/_queue/holders.ts";
import type { Pause, Steps } from "../../executors/sync/_pause.ts";
import { atEachStep, Interruption } from "../protocol/_kit.ts";

/** A thread as a holder, which acts on this thread. */
export class Party {
  readonly life: Life = createLife();
  readonly #name: string;
  static #current: Party | undefined;
  static #count = 0;

  constructor() {
    this.#name = `party ${Party.#count++}`;
  }

  /** Does something as this holder. */
  as<T>(action: () => T): T {
    const before = Party.#current;
    this.#act();
    try {
      return action();
    } finally {
      (before ?? main).#act();
      Party.#current = before;
    }
  }

  #act(): void {
    Party.#current = this;
    live(this.life);
    holding.isNamed = false;
    holding.name = () => this.#name;
  }

  /** Its task is cut off, and its thread goes on as another holder. */
  cutOff(): void {
    this.as(() => leave(true));
  }

  /** Its thread ends. */
  die(state: number = HolderState.DEAD): void {
    endLife(this.life, state);
  }
}

/** Who acts when nobody else does. */
const main = new Party();
live(main.life);

/** The operation itself, in which no interruption comes in between. */
const { load } = Atomics;

/** Those who sleep on a word, in the order in which they have fallen asleep. */
const sleepers = new Set<Waiting<unknown>>();

// As Atomics.notify() wakes up threads, it wakes up those that sleep here.
for (const object of [Atomics, kept.Atomics]) {
  const notify = object.notify;
  object.notify = (array, index, count = Infinity) => {
    for (const sleeper of sleepers) {
      const { words, index: at } = sleeper.pause!;
      if (count <= 0) break;
      if (words.buffer !== array.buffer || words.byteOffset + at * 4 !== array.byteOffset + index * 4) continue;
      sleepers.delete(sleeper);
      count--;
    }
    return notify(array as Int32Array, index, count);
  };
}

/** Runs what waits as a party, up to its next wait; `undefined` when it is over. */
export class Waiting<R> {
  readonly #party: Party;
  readonly #steps: Steps<R>;
  outcome: { value: R } | { error: unknown } | undefined;
  pause: Pause | undefined;

  constructor(party: Party, start: () => Steps<R>) {
    this.#party = party;
    this.#steps = party.as(start);
  }

  /** Goes on to the next wait, or to the end; a wait may also end without a reason. */
  go(): this {
    sleepers.delete(this);
    this.#party.as(() => {
      try {
        const { done, value } = this.#steps.next();
        this.pause = done ? undefined : value;
        if (done) this.outcome = { value };
      } catch (error) {
        this.pause = undefined;
        this.outcome = { error };
      }
    });
    const { pause } = this;
    // As Atomics.wait() looks at the word before it sleeps.
    if (pause !== undefined && load(pause.words, pause.index) === pause.value) sleepers.add(this);
    return this;
  }

  /** Whether its thread sleeps: nobody has woken it up, and its deadline has not passed. */
  get sleeps(): boolean {
    return sleepers.has(this) && kept.performance.now() < this.pause!.deadline;
  }

  /** Goes on until it is over: fails where it would sleep although nobody wakes it up any more. */
  finish(what: string): { value: R } | { error: unknown } {
    for (let turns = 0; this.outcome === undefined; turns++) {
      if (this.sleeps) fail(`${what}: it sleeps, and nobody wakes it up`);
      if (turns > 1000) fail(`${what}: it does not come to an end`);
      this.go();
    }
    return this.outcome;
  }
}

/**
 * Lets all go on until they are over, each as far as it comes: fails where all that are left sleep although nobody
 * wakes them up any more.
 */
export function settle(what: string, ...waits: Waiting<unknown>[]): void {
  for (let turns = 0;; turns++) {
    const left = waits.filter(({ outcome }) => outcome === undefined);
    if (left.length === 0) return;
    const awake = left.find((wait) => !wait.sleeps);
    if (awake === undefined) fail(`${what}: ${left.length} sleep, and nobody wakes them up`);
    if (turns > 1000) fail(`${what}: it does not come to an end`);
    awake.go();
  }
}

/** What a wait has come to; throws what it has thrown. */
export function valueOf<R>({ outcome }: Waiting<R>): R {
  if (outcome === undefined) fail("it is not over");
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/** The class of what a wait has thrown; `undefined` where it has thrown nothing. */
export function thrownBy({ outcome }: Waiting<unknown>): unknown {
  return outcome !== undefined && "error" in outcome ? (outcome.error as Error).constructor : undefined;
}

/** Memory of an object. */
export function memory(words: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(words * 4));
}

/**
 * Lets another wait begin, and go as far as it comes, before each step of a wait in turn; then both come to an end.
 *
 * @param scenario Makes both, and the check of what comes of them.
 */
export async function raceBoth<R>(
  scenario: () => { wait: Waiting<R>; other: Waiting<unknown>; check: () => void; looksAgain?: boolean },
): Promise<number> {
  return await atEachStep((at) => {
    const { wait, other, check, looksAgain = false } = scenario();
    let isOver: boolean;
    {
      using interruption = new Interruption(at, () => other.go());
      wait.go();
      isOver = !interruption.happened;
    }
    if (isOver) other.go();
    if (looksAgain) { for (const each of [other, wait]) if (each.sleeps) each.go(); }
    settle(`step ${at}`, wait, other);
    check();
    return !isOver;
  });
}

/**
 * Lets another party act before each step of a wait in turn: before its first step, then before its second, and so on.
 *
 * @param scenario Makes a wait, the other one's action, and the check of what comes of both; and says whether the wait
 * may need to look once more, as it does after a while, when nobody can tell it.
 * @returns How many steps there were.
 */
export async function raceAtEachStep<R>(
  scenario: () => {
    wait: Waiting<R>;
    act: () => void;
    check: (outcome: { value: R } | { error: unknown }) => void;
    looksAgain?: boolean;
  },
): Promise<number> {
  return await atEachStep((at) => {
    const { wait, act, check, looksAgain = false } = scenario();
    let isOver: boolean;
    {
      using interruption = new Interruption(at, act);
      wait.go();
      isOver = !interruption.happened;
    }
    // Behind its last step it sleeps, and has to be woken up.
    if (isOver) act();
    if (looksAgain && wait.sleeps) wait.go();
    check(wait.finish(`step ${at}`));
    return !isOver;
  });
}
