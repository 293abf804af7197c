/**
 * What consumers are doing: how they come to rest and are woken, and on whom the owner counts.
 *
 * @module
 */

import { Atomics, performance, sharedNow } from "../../futures/builtins.ts";
import { Status, Word } from "./protocol.ts";

/** The statuses, besides PARKED, from which a consumer comes to an assigned task: those of an idle one, and all. */
const IDLE = [Status.SPINNING, Status.FINISHED];
const ASSIGNABLE = [...IDLE, Status.STARTING];

/** How long an idle consumer looks for work before it sleeps, in milliseconds: as long as waking it would take. */
const SPIN_MS = 0.05;

/** How many looks come before each one at the clock, which takes as long as several. */
const LOOKS = 32;

/** How many consumers may look for work at once: leave a core to the one who makes it. */
const MAX_SPINNING = navigator.hardwareConcurrency >> 1;

/** The statuses of a pool's consumers, as seen from any thread, and how many of them look for work or sleep. */
export class Parking {
  /** The `Status` of each consumer. */
  readonly statuses: Int32Array;
  readonly #control: Int32Array;
  /** Since when each consumer sleeps that does; by the clock that all threads share. */
  readonly #sleepingSince: Float64Array;

  constructor(control: Int32Array, statuses: Int32Array, sleepingSince: Float64Array) {
    this.#control = control;
    this.statuses = statuses;
    this.#sleepingSince = sleepingSince;
  }

  /** Whether a consumer has a status. */
  is(index: number, status: number): boolean {
    return Atomics.load(this.statuses, index) === status;
  }

  /** Moves a consumer from one status to another; `false` when it has not the first one. */
  move(index: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.statuses, index, from, to) === from;
  }

  /**
   * Consumer, ACTIVE: looks for work a short while without sleeping, unless enough others do.
   *
   * @param isThereWork Looks once.
   * @param onIdle Called when the consumer can be assigned a task.
   * @returns Whether there may be work that has not been assigned.
   */
  spin(index: number, isThereWork: () => boolean, onIdle: () => void): boolean {
    if (!this.startSpinning(MAX_SPINNING)) return false;
    Atomics.store(this.statuses, index, Status.SPINNING);
    onIdle();
    const look = () => {
      for (let i = 0; i < LOOKS; i++) if (isThereWork() || !this.is(index, Status.SPINNING)) return true;
      return false;
    };
    let found = look();
    const until = found ? 0 : performance.now() + SPIN_MS;
    while (!found && performance.now() < until) found = look();
    this.stopSpinning();
    // If this fails, the owner has assigned a task.
    return this.move(index, Status.SPINNING, Status.ACTIVE) && found;
  }

  /** Consumer: asks whether it may look for work without sleeping. Only `most` consumers may do so at once. */
  startSpinning(most: number): boolean {
    const now = Atomics.load(this.#control, Word.SPINNING);
    return now < most && Atomics.compareExchange(this.#control, Word.SPINNING, now, now + 1) === now;
  }

  /** Consumer: ends what {@linkcode startSpinning} allowed. */
  stopSpinning(): void {
    Atomics.sub(this.#control, Word.SPINNING, 1);
  }

  /**
   * Consumer: announces that it goes to sleep.
   *
   * @param from The status that it must still have.
   * @returns `false` when it was given a task meanwhile.
   */
  park(index: number, from: number): boolean {
    // Before the status: the owner reads this time of every consumer that is PARKED.
    this.#sleepingSince[index] = sharedNow();
    // Counted first: who wakes counts down.
    Atomics.add(this.#control, Word.PARKED, 1);
    if (this.move(index, from, Status.PARKED)) return true;
    Atomics.sub(this.#control, Word.PARKED, 1);
    return false;
  }

  /** Moves a sleeping consumer to another status, and wakes it for WOKEN; `false` when it was not asleep. */
  unpark(index: number, to: number): boolean {
    if (!this.move(index, Status.PARKED, to)) return false;
    Atomics.sub(this.#control, Word.PARKED, 1);
    // One that is assigned a task is woken by the message that brings it.
    if (to === Status.WOKEN) Atomics.notify(this.statuses, index);
    return true;
  }

  /**
   * Owner: reserves a consumer that is idle, or about to be, for a task that is then posted to it.
   *
   * @param mayStart Whether one will do that is just starting.
   */
  assign(index: number, mayStart = true): boolean {
    if (this.unpark(index, Status.ASSIGNED)) return true;
    for (const from of mayStart ? ASSIGNABLE : IDLE) {
      if (this.move(index, from, Status.ASSIGNED)) return true;
    }
    return false;
  }

  /**
   * Owner: takes a consumer out for good that sleeps. It takes no task from then on, so none can be lost with it.
   * Whoever wants to wake it at the same time, it is counted as asleep no longer, once. Its ring must be closed before
   * another consumer begins under its index.
   *
   * @returns `false` when it does not sleep: somebody has woken it, or the owner has assigned it a task.
   */
  leave(index: number): boolean {
    return this.unpark(index, Status.LEFT);
  }

  /** Owner: since when a consumer sleeps, by the clock that all threads share; `undefined` when it does not. */
  sleepingSince(index: number): number | undefined {
    return this.is(index, Status.PARKED) ? this.#sleepingSince[index] : undefined;
  }

  /** Owner: since when a consumer has slept that was woken and has not answered; `undefined` for any other one. */
  wokenFrom(index: number): number | undefined {
    return this.is(index, Status.WOKEN) ? this.#sleepingSince[index] : undefined;
  }

  /** Owner: says that the thread of an index, which ran a task, was given up. */
  giveUp(index: number): void {
    Atomics.store(this.statuses, index, Status.LEFT);
  }

  /** Owner: says that a consumer begins under an index, where another one may have left. */
  enter(index: number): void {
    Atomics.store(this.statuses, index, Status.STARTING);
  }

  /** Owner: says whether it has tasks that wait for room or for an idle consumer. It then looks again for both. */
  setWaiting(isWaiting: boolean): void {
    Atomics.store(this.#control, Word.WAITING, isWaiting ? 1 : 0);
  }

  /** Consumer: whether the owner wants to know of room and of idle consumers. It looks after it has made either. */
  isOwnerWaiting(): boolean {
    return Atomics.load(this.#control, Word.WAITING) === 1;
  }

  /** Whether consumers sleep that nobody has woken. */
  hasSleepers(): boolean {
    return Atomics.load(this.#control, Word.PARKED) > 0;
  }

  /**
   * Wakes one sleeping consumer, if there is one and nobody is looking for work already.
   *
   * @param unfinished Where this is no more than the consumers that work, one of them has just finished, and looks at
   * the queue next.
   * @returns Whether one was woken. It may be long before that one answers.
   */
  wake(unfinished = Infinity): boolean {
    if (
      Atomics.load(this.#control, Word.PARKED) === 0 ||
      Atomics.load(this.#control, Word.SPINNING) > 0 ||
      unfinished <= this.#countActive()
    ) return false;
    for (let index = 0; index < this.statuses.length; index++) {
      if (this.unpark(index, Status.WOKEN)) return true;
    }
    return false;
  }

  /** Whether a consumer has a task in hand. One that is about to take it, or has finished it, has none. */
  isBusy(): boolean {
    for (let index = 0; index < this.statuses.length; index++) if (this.is(index, Status.ACTIVE)) return true;
    return false;
  }

  #countActive(): number {
    let count = 0;
    for (let index = 0; index < this.statuses.length; index++) {
      const status = Atomics.load(this.statuses, index);
      if (status === Status.ACTIVE || status === Status.FINISHED) count++;
    }
    return count;
  }

  /**
   * Owner: whether there are more tasks than consumers that run or take one, or start, where so many indices are in use
   * or were.
   */
  lacksConsumers(unfinished: number, indices: number): boolean {
    if (Atomics.load(this.#control, Word.SPINNING) > 0) return false;
    let count = this.#countActive();
    for (let index = 0; index < indices; index++) {
      const status = Atomics.load(this.statuses, index);
      if (status === Status.STARTING || status === Status.ASSIGNED) count++;
    }
    return unfinished > count;
  }

  /** Owner: forgets all consumers, whose threads it has ended when no task was left; also those that did not sleep. */
  forgetConsumers(): void {
    for (let index = 0; index < this.statuses.length; index++) {
      if (!this.unpark(index, Status.STARTING)) Atomics.store(this.statuses, index, Status.STARTING);
    }
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const names = Object.keys(Status);
    const statuses = Array.from(this.statuses, (_, index) => names[Atomics.load(this.statuses, index)]);
    return `spinning=${this.#control[Word.SPINNING]} parked=${this.#control[Word.PARKED]} statuses=[${statuses}]`;
  }
}
