/**
 * The half of a pool that runs in another thread: takes tasks out of shared memory by itself and publishes results.
 * What it does with a task is not its business: a thread runs it, a broker gives it to somebody else. Over 400 lines,
 * because all moves of a slot and of a status that consumers make are one class.
 *
 * @module
 */

import { ring } from "../../futures/bell.ts";
import { Atomics, JSON, Promise, sharedNow, withResolvers } from "../../futures/builtins.ts";
import type { Definition } from "../_functions/definition.ts";
import { EMPTY, Encoded, type EncodedSections, immovable } from "../_values/encoded.ts";
import { Memory } from "../_values/memory.ts";
import { Bound } from "./_bound.ts";
import type { Parking } from "./parking.ts";
import { type Form, toPosted } from "./posted.ts";
import { Progress } from "./_progress.ts";
import {
  type ConsumerMessage,
  type ConsumerStart,
  HAS_TIMES,
  MAX_INLINE_BYTES,
  NO_SLOT,
  type PostedResult,
  RecordType,
  runningBy,
  STATE_MASK,
  Status,
  stoppingFrom,
  TaskFlag,
  type TaskLimits,
  type TaskRecord,
  TaskState,
  type TaskTimes,
} from "./protocol.ts";
import { ResultRing } from "./ring.ts";
import { TaskQueue } from "./task_queue.ts";

/** After how many milliseconds a broker looks whether there is room for what a task has said of its progress. */
const SAY_AGAIN_MS = 5;

/** A task that was taken; what it carries is decoded, or stays bytes for who passes it on. */
export interface Task<B extends Encoded | EncodedSections = Encoded> {
  readonly slot: number;
  readonly fn: number;
  readonly flags: number;
  readonly payload: B;
}

/** As `promise.then(resolve)`, whatever a task has made of that method. */
async function resolveWith<T>(resolve: (value: T) => void, promise: Promise<T>): Promise<void> {
  resolve(await promise);
}

/** A pool's consumer of tasks. */
export class Consumer<B extends Encoded | EncodedSections = Encoded> {
  readonly #form: Form<B>;
  readonly #queue: TaskQueue;
  readonly #parking: Parking;
  readonly #results: ResultRing;
  readonly #index: number;
  /** The word of a slot whose task this consumer runs. Who passes tasks on is never given up. */
  readonly #running: number;
  readonly #stopping: number;
  readonly #port: MessagePort;
  readonly #bell: Int32Array;
  readonly #definitions: Definition[];
  readonly #shared: Map<number, SharedArrayBuffer>;
  readonly #bound: Bound<B>;
  #assigned: Task<B> | undefined;
  #nextMessage: PromiseWithResolvers<void> | undefined;
  #hasRested = false;
  /** Whether its status may be AWAY. */
  #isAway = false;
  /** Whether the owner has given it up: it is away for ever, and touches nothing of the pool's. */
  #isGivenUp = false;
  /** The slot of a task whose reply could not be posted; another one follows. */
  #refused = NO_SLOT;
  /** What tasks say of their progress. */
  readonly #progress: Progress;
  #saying: ReturnType<typeof setTimeout> | undefined;
  /** Called when a task that this consumer runs is to end. */
  onStop: (slot: number, grace: number) => void = () => {};
  /** Ends a sleep. */
  #wake: ((value: unknown) => void) | undefined;

  constructor(start: ConsumerStart, form: Form<B>) {
    this.#form = form;
    this.#queue = new TaskQueue(start.memory);
    this.#parking = this.#queue.parking;
    this.#results = new ResultRing(start.results);
    this.#index = start.index;
    this.#running = form.runs ? runningBy(start.serial) : TaskState.RUNNING;
    this.#stopping = stoppingFrom(this.#running);
    this.#port = start.port;
    this.#bell = start.bell;
    this.#definitions = start.definitions;
    this.#shared = start.shared;
    this.#bound = new Bound(form, start.bound);
    this.#progress = new Progress(this.#results, (slot, payload) => {
      this.#publish(slot, RecordType.PROGRESS, payload, 0, true);
    });
  }

  /** Takes in a message of the owner's. Must be called for each, in order. */
  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "define":
        this.#definitions[message.fn] = message.definition;
        break;
      case "bind":
      case "unbind":
        this.#bound.receive(message);
        break;
      case "share":
        this.#shared.set(message.id, message.memory);
        break;
      case "unshare":
        this.#shared.delete(message.id);
        break;
      case "assign": {
        const { slot, fn, flags, payload } = message;
        this.#assigned = { slot, fn, flags, payload: this.#form.fromPosted(payload) };
        if (this.#wake !== undefined) {
          // The message is what wakes it; the wait that is left over must end, too.
          this.#wake(undefined);
          Atomics.notify(this.#parking.statuses, this.#index);
        }
        break;
      }
      case "abort":
        // The slot may be another task's by now.
        if (Atomics.load(this.#queue.slots, message.slot) === this.#stopping) {
          this.onStop(message.slot, message.grace);
        }
    }
    this.#nextMessage?.resolve();
    this.#nextMessage = undefined;
  }

  /** Waits for a message that was posted before this thread learned of it through shared memory. */
  async #message(): Promise<void> {
    this.#nextMessage ??= withResolvers<void>();
    await this.#nextMessage.promise;
  }

  /** The definition of a task's function, where it is known already. */
  knownDefinition(fn: number): Definition | undefined {
    return this.#definitions[fn];
  }

  /** The definitions of all functions that are known, from one on and then from the first. */
  definitionsFrom(fn: number): Definition[] {
    return [...this.#definitions.slice(fn), ...this.#definitions.slice(0, fn)];
  }

  /** The definition of a task's function. */
  async definition(fn: number): Promise<Definition> {
    while (this.#definitions[fn] === undefined) await this.#message();
    return this.#definitions[fn];
  }

  /** The arguments that all calls of a function have, where there are some and its definition is known. */
  boundTo(fn: number): { places: number[]; payload: B } | undefined {
    return this.#bound.of(fn);
  }

  /**
   * Takes the oldest task.
   *
   * @returns `undefined` when there is none: then {@linkcode waitForWork}. A promise when the arguments are still on
   * their way.
   */
  take(): Task<B> | Promise<Task<B>> | undefined {
    // Here and nowhere else: a promise of this library's may be followed by other callbacks before its waiter goes on.
    if (this.#isAway) {
      if (this.#isGivenUp || !this.#comeBack()) return new Promise<never>(() => {});
    } else this.#parking.move(this.#index, Status.FINISHED, Status.ACTIVE);
    const assigned = this.#assigned;
    // One that was assigned and has not arrived comes before what is queued.
    if (assigned === undefined && this.#parking.is(this.#index, Status.ASSIGNED)) return undefined;
    const record = assigned === undefined ? this.#queue.claim() : undefined;
    if (assigned === undefined && record === undefined) return undefined;
    if (this.#hasRested) {
      // Who published while this consumer was looking for work woke nobody else.
      this.#hasRested = false;
      if (!this.#queue.isEmpty()) this.#parking.wake();
    }
    if (record === undefined) {
      this.#assigned = undefined;
      // Taken while it rests, for who took a task meanwhile: it waits for no other one.
      Atomics.store(this.#parking.statuses, this.#index, Status.ACTIVE);
      return assigned;
    }
    const { slot, fn, encoding, flags, offset, byteLength } = record;
    const { memory } = this.#queue;
    if ((flags & TaskFlag.SHARED) !== 0) {
      const where = Encoded.read(encoding, memory, offset, byteLength);
      this.#queue.giveBack(record);
      this.#goAway(Status.ACTIVE);
      return this.#takeShared(record, where);
    }
    const payload = this.#form.read(encoding, memory, offset, byteLength);
    this.#queue.giveBack(record);
    const task = { slot, fn, flags, payload };
    if (payload.sharedIds.length === 0) return task;
    this.#goAway(Status.ACTIVE);
    return this.#share(task, payload.sharedIds);
  }

  /** From now on nobody counts on this consumer: other code may run before it goes on, or its task be cancelled. */
  #goAway(from: number): void {
    this.#isAway = true;
    this.#parking.move(this.#index, from, Status.AWAY);
  }

  /** From now on it is counted on; `false` when it was given up meanwhile, and may take nothing. */
  #comeBack(): boolean {
    // First: the status of its index may be another one's by now.
    if (this.#results.isClosed()) return false;
    this.#isAway = false;
    for (const from of [Status.AWAY, Status.WOKEN]) {
      if (this.#parking.move(this.#index, from, Status.ACTIVE)) return true;
    }
    // Else a task is assigned to it.
    return !this.#parking.is(this.#index, Status.LEFT);
  }

  async #takeShared({ slot, fn, flags }: TaskRecord, { text, sharedIds }: Encoded): Promise<Task<B>> {
    const [byteLength, encoding] = JSON.parse(text);
    const [id, ...rest] = sharedIds;
    const payload = this.#form.read(encoding, new Memory(await this.#memory(id)), 0, byteLength);
    return this.#share({ slot, fn, flags: flags & ~TaskFlag.SHARED, payload }, rest);
  }

  /** Adds the memory that a task refers to. */
  async #share(task: Task<B>, ids: number[]): Promise<Task<B>> {
    for (const id of ids) task.payload.shared.push(await this.#memory(id));
    return task;
  }

  async #memory(id: number): Promise<SharedArrayBuffer> {
    while (!this.#shared.has(id)) await this.#message();
    return this.#shared.get(id)!;
  }

  /**
   * Rests until there may be a task: looks for one a short while, then sleeps in the event loop.
   *
   * @param mayLook Whether to look: not while the event loop has something to do.
   * @returns `undefined` when a task was found meanwhile: nothing may come before {@linkcode take} then.
   */
  waitForWork(mayLook = true): Promise<void> | undefined {
    this.#hasRested = true;
    if (this.#isAway && !this.#comeBack()) return new Promise<never>(() => {});
    const isAssigned = this.#parking.is(this.#index, Status.ASSIGNED);
    return !isAssigned && mayLook && this.#spin() ? undefined : this.#sleep(isAssigned);
  }

  #spin(): boolean {
    return this.#parking.spin(this.#index, () => !this.#queue.isEmpty(), () => this.#tellWaitingOwner());
  }

  async #sleep(isAssigned: boolean): Promise<void> {
    const index = this.#index;
    if (!isAssigned && this.#parking.park(index, Status.ACTIVE)) {
      this.#tellWaitingOwner();
      // Looked at once more after going to sleep: who published before that saw nobody to wake.
      if (!this.#queue.isEmpty()) this.#parking.unpark(index, Status.WOKEN);
      else {
        const wait = Atomics.waitAsync(this.#parking.statuses, index, Status.PARKED);
        if (wait.async) {
          await new Promise<unknown>((resolve) => {
            this.#wake = resolve;
            void resolveWith(resolve, wait.value);
          });
          this.#wake = undefined;
        }
      }
      // It is not awake before it is asked for a task.
      this.#isAway = true;
      // In this order: the index may be another one's by now, and then the ring was closed before.
      if (this.#parking.is(index, Status.LEFT) || this.#results.isClosed()) {
        await new Promise<never>(() => {});
      }
    }
    if (this.#parking.is(index, Status.ASSIGNED)) await this.#takeAssigned();
  }

  #tellWaitingOwner(): void {
    if (this.#parking.isOwnerWaiting()) ring(this.#bell);
  }

  /** Is away while the event loop has its turn, which may take long: nobody counts on this consumer. */
  async yieldToEventLoop(turn: () => Promise<void>): Promise<void> {
    if (this.#isGivenUp) return;
    // If both fail, it is away already, or has been assigned a task.
    this.#goAway(Status.ACTIVE);
    this.#goAway(Status.FINISHED);
    if (!this.#queue.isEmpty()) this.#parking.wake();
    await turn();
    await this.begin();
  }

  /** Begins to work: a task may have been assigned while the thread was starting. */
  async begin(): Promise<void> {
    this.#goAway(Status.STARTING);
    if (this.#parking.is(this.#index, Status.ASSIGNED)) await this.#takeAssigned();
  }

  async #takeAssigned(): Promise<void> {
    while (this.#parking.is(this.#index, Status.ASSIGNED) && this.#assigned === undefined) {
      await this.#message();
    }
    this.#goAway(Status.ASSIGNED);
  }

  /**
   * Marks a task as running, or as given to a process.
   *
   * @returns `false` when it was cancelled, or is to end and was taken back: it must not run, and needs no reply.
   */
  start(task: Task<B>, as: number = this.#running): boolean {
    if (this.#isAway) this.#comeBack();
    const { slot } = task;
    const state = Atomics.compareExchange(this.#queue.slots, slot, TaskState.PENDING, as);
    if (state === TaskState.PENDING) {
      if ((as & STATE_MASK) === TaskState.RUNNING) this.#noteBegin(task);
      else if ((task.flags & TaskFlag.MEASURED) !== 0) this.#queue.noteBegin(slot, 0);
      return true;
    }
    this.#publish(slot, RecordType.CANCELLED, EMPTY);
    if ((state & STATE_MASK) === TaskState.STOPPING) ring(this.#bell);
    // Nobody waits for this task any more, but perhaps for its place.
    this.#tellWaitingOwner();
    return false;
  }

  /** How long a task may run that has a timeout. */
  limitsOf(slot: number): TaskLimits {
    return this.#queue.limitsOf(slot);
  }

  /** Says that the function of a task is called now that has a timeout. */
  setBegun(slot: number): void {
    this.#queue.setBegun(slot);
  }

  /** Whether a task that this consumer runs is to end, or this consumer was given up because it does not. */
  isStopping(slot: number): boolean {
    return Atomics.load(this.#queue.slots, slot) !== this.#running;
  }

  /**
   * Marks a task that was given to a process as running there, or as pending again because it was recalled.
   *
   * @returns `false` where it is to end, which stays so: it must not begin any more, and wants a reply.
   */
  setState(task: Task<B>, as: number): boolean {
    const { slots } = this.#queue;
    const { slot } = task;
    for (let word = Atomics.load(slots, slot); (word & STATE_MASK) !== TaskState.STOPPING;) {
      const found = Atomics.compareExchange(slots, slot, word, as);
      if (found === word) {
        // The owner may be waiting to cancel it.
        Atomics.notify(slots, slot);
        if (as === TaskState.RUNNING) this.#noteBegin(task);
        return true;
      }
      word = found;
    }
    return false;
  }

  /** A task has begun, and its slot says so. */
  #noteBegin({ slot, flags }: Task<B>): void {
    if ((flags & TaskFlag.MEASURED) !== 0) this.#queue.noteBegin(slot, sharedNow());
    // The owner may be waiting until fewer tasks wait.
    if ((flags & TaskFlag.BOUNDED) !== 0 && this.#queue.isWatched()) ring(this.#bell);
  }

  /**
   * Publishes what became of a task that was started.
   *
   * @param rings Whether to tell the owner; who publishes several results does that once.
   * @param next What this consumer is then: FINISHED where the next task follows at once, AWAY where something of the
   * user's may run before.
   * @param times When the task ran, and where, if somebody else has measured that.
   * @throws {SerializationError} What the payload moves cannot move: nothing is published, and another reply may be.
   */
  reply(
    { slot, flags }: Task<B>,
    type: number,
    payload: Encoded | EncodedSections,
    detail = 0,
    rings = true,
    next: number = Status.ACTIVE,
    times?: Partial<TaskTimes>,
  ): void {
    // Before the result: once the owner has that, the slot may already be another task's. And before the status, which
    // may be another consumer's where this one was given up.
    const { slots } = this.#queue;
    // Who passes tasks on is never given up. One whose first reply could not be posted is DONE already.
    if (!this.#form.runs || slot === this.#refused) Atomics.store(slots, slot, TaskState.DONE);
    else {
      const word = Atomics.compareExchange(slots, slot, this.#running, TaskState.DONE);
      if (
        word !== this.#running &&
        (word !== this.#stopping || Atomics.compareExchange(slots, slot, word, TaskState.DONE) !== word)
      ) {
        // The owner has given this thread up, and ends it when it comes to its event loop.
        this.#isGivenUp = this.#isAway = true;
        return;
      }
    }
    if ((flags & TaskFlag.MEASURED) !== 0) {
      if (times?.began !== undefined) this.#queue.noteBegin(slot, times.began);
      this.#queue.noteEnd(slot, times?.ended ?? sharedNow(), times?.worker ?? this.#index);
      type |= HAS_TIMES;
    }
    // Before the owner is woken, perhaps on the core of this thread: it need not wait until this one has come to rest.
    // And before the task counts as finished: who is ACTIVE and has no task is about to take one.
    if (next === Status.AWAY) this.#goAway(Status.ACTIVE);
    else if (next === Status.FINISHED) this.#parking.move(this.#index, Status.ACTIVE, Status.FINISHED);
    this.#queue.countFinished();
    const isPosted = this.#progress.end(slot);
    try {
      this.#publish(slot, type, payload, detail, isPosted);
    } catch (error) {
      // It is replied again, and counted then. Its thread cannot be given up meanwhile: it may be assigned the next
      // one.
      this.#queue.countFinished(-1);
      this.#refused = slot;
      if (isPosted) this.#progress.goOn(slot);
      throw error;
    }
    this.#refused = NO_SLOT;
    if (rings) ring(this.#bell);
  }

  /** Tells the owner how far a task has come; it never waits for the owner. */
  progress({ slot }: Task<B>, payload: Encoded | EncodedSections): void {
    if (this.#progress.say(slot, payload)) ring(this.#bell);
    else if (!this.#form.runs) this.#sayLater();
  }

  /** Who only passes on what tasks say can look again: a task may say no more for long. */
  #sayLater(): void {
    this.#saying ??= setTimeout(() => {
      this.#saying = undefined;
      if (this.#progress.sayKept()) ring(this.#bell);
      if (this.#progress.keeps) this.#sayLater();
    }, SAY_AGAIN_MS);
  }

  /** Ends a rest, for who has something to do that did not come from the queue. */
  wakeUp(): void {
    if (this.#parking.unpark(this.#index, Status.WOKEN)) this.#wake?.(undefined);
  }

  /** Broker: says how many processes it has, how many of them start, and how many took the place of another one. */
  setChildren(children: number, starting: number, restarts: number): void {
    this.#queue.setChildren(children, starting, restarts);
  }

  /** Says that this consumer has obeyed an `abort`, as far as it could. */
  acknowledgeAbort(slot: number): void {
    this.#publish(slot, RecordType.ABORT_ACKNOWLEDGED, EMPTY);
    ring(this.#bell);
  }

  /** Tells the owner that there are results. */
  ring(): void {
    ring(this.#bell);
  }

  /** Tells the owner something about this consumer itself: that it cannot work, and why, or that it has ended. */
  report(type: number, reason: Encoded | EncodedSections = EMPTY): void {
    this.#publish(NO_SLOT, type, reason);
    ring(this.#bell);
  }

  #publish(slot: number, type: number, payload: Encoded | EncodedSections, detail = 0, isPosted = false): void {
    if (payload.room <= MAX_INLINE_BYTES && payload.shared.length === 0 && !isPosted) {
      payload.takeMoved("result");
      if (this.#results.push(slot, type, payload, detail)) return;
    }
    const { posted, list } = toPosted(payload);
    const result: PostedResult = { slot, type, detail, payload: posted };
    try {
      this.#port.postMessage(result, list);
    } catch (error) {
      throw immovable("result", error);
    }
    this.#results.countPosted();
  }
}
