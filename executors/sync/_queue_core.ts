/**
 * The queue: a bounded buffer with two lists of waiters and one of those who wait for all to be done. An item that
 * comes is for the getter that has waited longest, who is told of it; and so is room for the putter. Those who come
 * later wait behind them. Only who would not wait any more takes what is there all the same, as a queue with an item is
 * not empty, whoever it is for; the one that was told of it keeps its place.
 *
 * A putter whose item finds no memory keeps its place, and those who come later wait behind it: otherwise small items
 * could keep a large one out for ever.
 *
 * All words are read and changed under the mutex, but for those that waiters look at now and then.
 *
 * @see {@link https://doi.org/10.1145/355620.361161 | C. A. R. Hoare: Monitors (1974)}, for the bounded buffer.
 * @see {@link https://github.com/python/cpython/blob/main/Lib/queue.py | Python's queue}, whose semantics it has.
 * @module
 */

import { InvalidStateError } from "../../futures/errors.ts";
import type { Encoded } from "../_values/encoded.ts";
import { QueueEmptyError, QueueFullError, QueueShutDownError } from "./errors.ts";
import { Items, ITEMS_WORDS, type Order } from "./_items.ts";
import { Mutex, MUTEX_WORDS } from "./_mutex.ts";
import { FIRST_WORD } from "./_object.ts";
import { isOver, type Steps } from "./_pause.ts";
import { LIST_WORDS, REFUSED, TOLD, WaitList } from "./_wait_list.ts";

/**
 * How many items there may be (0: any number), how many there are, how many are not done, and whether it was shut down;
 * then the mutex, those who wait to get, to put, and for all to be done; and the items.
 */
const MAX_SIZE = FIRST_WORD;
const COUNT = FIRST_WORD + 1;
const UNFINISHED = FIRST_WORD + 2;
const SHUT = FIRST_WORD + 3;
const MUTEX = FIRST_WORD + 4;
const GETTERS = MUTEX + MUTEX_WORDS;
const PUTTERS = GETTERS + LIST_WORDS;
const JOINERS = PUTTERS + LIST_WORDS;
const ITEMS = JOINERS + LIST_WORDS;

/** How many words a queue takes besides its items. */
export const QUEUE_WORDS = ITEMS + ITEMS_WORDS;

/** What a queue gives to who takes an item, encoded. */
export type Taken = ReturnType<Items["take"]>;

/** What a queue does with encoded items. */
export class QueueCore {
  readonly #words: Int32Array;
  readonly #mutex: Mutex;
  readonly #getters: WaitList;
  readonly #putters: WaitList;
  readonly #joiners: WaitList;
  readonly #items: Items;

  constructor(words: Int32Array, kind: string, order: Order) {
    this.#words = words;
    this.#mutex = new Mutex(words, MUTEX, kind);
    this.#getters = new WaitList(words, GETTERS);
    this.#putters = new WaitList(words, PUTTERS);
    this.#joiners = new WaitList(words, JOINERS);
    this.#items = new Items(words, ITEMS, order);
  }

  /** Says of a new one how many items there may be; 0 for any number. */
  init(maxsize: number): void {
    this.#words[MAX_SIZE] = maxsize;
  }

  get maxsize(): number {
    return this.#words[MAX_SIZE];
  }

  get size(): number {
    return this.#words[COUNT];
  }

  /** How much memory there is for items, in bytes. */
  get bytes(): number {
    return this.#words.byteLength - ITEMS * 4;
  }

  /** Puts an item in, of which there is one for which there is memory when there is no other one. */
  *put(payload: Encoded, priority: number, deadline: number): Steps<void> {
    const [words, putters] = [this.#words, this.#putters];
    using held = yield* this.#mutex.hold();
    for (let [isTold, came]: [boolean, number | undefined] = [false, undefined];;) {
      this.#bury();
      if (words[SHUT] === 1) throw shutDown();
      const isLate = isOver(deadline);
      // Where there is room for who comes next, those who wait do so for memory, and all wait behind them.
      const isBehind = this.#hasRoom && putters.waiting > 0;
      const mayPut = this.#hasRoom ? isTold || !isBehind : (isTold || isLate) && !this.full;
      if (mayPut && this.#items.put(payload, priority)) {
        words[COUNT]++;
        words[UNFINISHED]++;
        this.#getters.tell();
        // Others may have waited behind it for memory, and not for its place.
        if (isTold) this.#tellOfRoom();
        return;
      }
      if (isLate) {
        if (came !== undefined) this.#tellOfRoom();
        throw fullError(this.full ? this.maxsize : 0);
      }
      const ticket = putters.enter(came);
      came = ticket.came;
      const state = yield* putters.waitWith(held, ticket, deadline, () => this.#bury(), () => this.#getters.hasDead);
      if (state === REFUSED) throw shutDown();
      isTold = state === TOLD;
    }
  }

  /** Takes the next item out. */
  *get(deadline: number): Steps<Taken> {
    const [words, getters] = [this.#words, this.#getters];
    using held = yield* this.#mutex.hold();
    for (let [isTold, came]: [boolean, number | undefined] = [false, undefined];;) {
      this.#bury();
      const isLate = isOver(deadline);
      const isForIt = isTold || isLate || words[SHUT] === 1;
      if (words[COUNT] > (isForIt ? 0 : getters.told)) {
        const taken = this.#items.take();
        words[COUNT]--;
        this.#putters.tell();
        return taken;
      }
      if (words[SHUT] === 1) throw shutDown();
      if (isLate) throw new QueueEmptyError("The queue is empty");
      const ticket = getters.enter(came);
      came = ticket.came;
      const state = yield* getters.waitWith(held, ticket, deadline, () => this.#bury(), () => this.#putters.hasDead);
      isTold = state === TOLD;
    }
  }

  /** Says that one that was taken out is done. */
  *taskDone(): Steps<void> {
    const words = this.#words;
    using _ = yield* this.#mutex.hold();
    if (words[UNFINISHED] === 0) {
      throw new InvalidStateError("taskDone() was called more often than items were put in");
    }
    if (--words[UNFINISHED] === 0) this.#joiners.tellAll(TOLD);
  }

  /** Waits until all are done; `false` when the deadline has passed. */
  *join(deadline: number): Steps<boolean> {
    const joiners = this.#joiners;
    using held = yield* this.#mutex.hold();
    joiners.bury();
    if (this.#words[UNFINISHED] === 0) return true;
    if (isOver(deadline)) return false;
    return (yield* joiners.waitWith(held, joiners.enter(), deadline, () => joiners.bury())) === TOLD;
  }

  /** Takes nothing more, and drops what is there if that is said. */
  *shutDown(immediate: boolean): Steps<void> {
    const words = this.#words;
    using _ = yield* this.#mutex.hold();
    words[SHUT] = 1;
    if (immediate) {
      while (words[COUNT] > 0) {
        this.#items.take();
        words[COUNT]--;
        if (words[UNFINISHED] > 0) words[UNFINISHED]--;
      }
      if (words[UNFINISHED] === 0) this.#joiners.tellAll(TOLD);
    }
    this.#getters.tellAll(REFUSED);
    this.#putters.tellAll(REFUSED);
  }

  /** Whether there are as many items as there can be. */
  get full(): boolean {
    return this.maxsize > 0 && this.size >= this.maxsize;
  }

  /** Whether there is room for one more besides those who were told of room. */
  get #hasRoom(): boolean {
    return this.maxsize === 0 || this.size + this.#putters.told < this.maxsize;
  }

  #tellOfRoom(): void {
    if (this.#hasRoom) this.#putters.tell();
  }

  /** Tells others of what threads were told of that have died. */
  #bury(): void {
    const [getters, putters] = [this.#getters, this.#putters];
    if (getters.hasDead) { for (let { told } = getters.bury(); told > 0; told--) getters.tell(); }
    if (!putters.hasDead) return;
    const { told, dead } = putters.bury();
    // One that waited may have kept others out whose items fit.
    for (let n = told + (dead === 0 ? 0 : 1); n > 0; n--) this.#tellOfRoom();
  }
}

function shutDown(): QueueShutDownError {
  return new QueueShutDownError("The queue was shut down");
}

function fullError(maxsize: number): QueueFullError {
  return new QueueFullError(
    maxsize === 0
      ? "The memory of the queue is full"
      : `The queue is full, with as many items as it can have: ${maxsize}`,
  );
}
