/**
 * What consumers are doing: how they come to rest and are woken, and on whom the owner counts.
 *
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";
import { Status, Word } from "./protocol.ts";

/** The statuses, besides PARKED, from which a consumer comes to an assigned task: those of an idle one, and all. */
const IDLE = [Status.SPINNING, Status.FINISHED];
const ASSIGNABLE = [...IDLE, Status.STARTING];

/** The statuses of a pool's consumers, as seen from any thread, and how many of them look for work or sleep. */
export class Parking {
  readonly statuses: Int32Array;
  readonly #control: Int32Array;

  constructor(control: Int32Array, statuses: Int32Array) {
    this.#control = control;
    this.statuses = statuses;
  }

  /** Consumer: asks for leave to look for work without sleeping; only so many may at once. */
  startSpinning(most: number): boolean {
    const now = Atomics.load(this.#control, Word.SPINNING);
    return now < most &&
      Atomics.compareExchange(this.#control, Word.SPINNING, now, now + 1) === now;
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
    // Counted first: who wakes counts down.
    Atomics.add(this.#control, Word.PARKED, 1);
    if (
      Atomics.compareExchange(this.statuses, index, from, Status.PARKED) ===
        from
    ) return true;
    Atomics.sub(this.#control, Word.PARKED, 1);
    return false;
  }

  /** Moves a sleeping consumer to another status and wakes it; `false` when it was not asleep. */
  unpark(index: number, to: number): boolean {
    if (
      Atomics.compareExchange(this.statuses, index, Status.PARKED, to) !==
        Status.PARKED
    ) return false;
    Atomics.sub(this.#control, Word.PARKED, 1);
    // One that is assigned a task is woken by the message that brings it.
    if (to !== Status.ASSIGNED) Atomics.notify(this.statuses, index);
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
      if (Atomics.compareExchange(this.statuses, index, from, Status.ASSIGNED) === from) return true;
    }
    return false;
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
   * @param unfinished Where this is no more than the consumers that work, one of them has just finished, and looks at the queue next.
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

  #countActive(): number {
    let count = 0;
    for (let index = 0; index < this.statuses.length; index++) {
      const status = Atomics.load(this.statuses, index);
      if (status === Status.ACTIVE || status === Status.FINISHED) count++;
    }
    return count;
  }

  /** Owner: whether there are more tasks than consumers that run or take one, or start, of which `begun` have. */
  lacksConsumers(unfinished: number, begun: number): boolean {
    if (Atomics.load(this.#control, Word.SPINNING) > 0) return false;
    let count = this.#countActive();
    for (let index = 0; index < begun; index++) {
      const status = Atomics.load(this.statuses, index);
      if (status === Status.STARTING || status === Status.ASSIGNED) count++;
    }
    return unfinished > count;
  }

  /** Owner: forgets consumers that were stopped while they slept, so that others can take their places. */
  forgetConsumers(): void {
    Atomics.store(this.#control, Word.PARKED, 0);
    this.statuses.fill(Status.STARTING);
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const names = Object.keys(Status);
    const statuses = Array.from(this.statuses, (_, index) => names[Atomics.load(this.statuses, index)]);
    return `spinning=${this.#control[Word.SPINNING]} parked=${this.#control[Word.PARKED]} statuses=[${statuses}]`;
  }
}
