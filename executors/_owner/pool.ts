/**
 * The half of a pool that runs in the thread which submits: the same for every kind of worker. What takes tasks in and
 * ends it is here; how tasks go to the workers is told by `_dispatcher.ts`, and how results come back by
 * `_collector.ts`. Over 400 lines, because the states of a pool, and all that moves it from one to another, are one
 * class.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { ShutdownError } from "../../futures/errors.ts";
import { Future, type FutureOwner, internals, type TaskControl } from "../../futures/future.ts";
import { stopWith } from "../../futures/signals.ts";
import { ring, SEQUENCE } from "../../futures/bell.ts";
import { sharedNow } from "../../futures/builtins.ts";
import { withoutFrames } from "../../futures/own_frames.ts";
import { ensureStack } from "../../futures/stack.ts";
import { bell, blockUntil, hold, lookIfDue, release } from "../../futures/wakeup.ts";
import type { Encoded } from "../_values/encoded.ts";
import { encodeArguments, encodeItems, type EncodeOptions } from "../_values/codec.ts";
import { withName } from "../_values/named.ts";
import {
  type ConsumerMessage,
  type Initializer,
  MAX_INLINE_BYTES,
  RecordType,
  serialOf,
  STATE_MASK,
  Status,
  TaskFlag,
  TaskState,
} from "../_queue/protocol.ts";
import { HolderState } from "../_queue/holders.ts";
import { createPoolMemory, TaskQueue } from "../_queue/task_queue.ts";
import { Collector } from "./_collector.ts";
import { type Constants, copyConstants } from "./_constants.ts";
import { Dispatcher } from "./_dispatcher.ts";
import { followSignals, noteSignals } from "./_followed_signals.ts";
import { type AnyFunction, Functions } from "./_functions.ts";
import { prepareInitializer } from "./_initializer.ts";
import type { LossReport, PoolKind } from "./kind.ts";
import { refuseAfterEndOfProgram, refuseWhileImporting, watchEndOfProgram } from "./_program.ts";
import { Room } from "./_room.ts";
import { SharedArguments } from "./_shared_arguments.ts";
import { nameOf, Stops } from "./_stops.ts";
import { type NotedOptions, Submission, withSubmission } from "./_submission.ts";
import { Tally } from "./_tally.ts";
import { TaskEvents } from "./_task_events.ts";
import { GRACE_MS, TaskTable } from "./_task_table.ts";
import { Watch } from "./_watch.ts";
import { type Known, type RunningWorker, Workers, type WorkersOwner } from "./_workers.ts";

/**
 * How long `cancel()` waits for a prefetched task to be recalled, in milliseconds, unless the kind of pool says another
 * time; one that does not answer runs it.
 */
const RECALL_MS = 1_000;

/**
 * What a pool can do next. OPEN takes work; CLOSING only finishes it; CLOSED and BROKEN have no unfinished futures, and
 * no workers but a broker that is ending its processes. Whether that is still there, the workers tell.
 *
 * - OPEN -> CLOSING by shutdown() or kill()
 * - CLOSING -> CLOSED by the last task that is done
 * - OPEN, CLOSING -> BROKEN by what a worker reports, and by one that cannot be started or fails
 */
type State =
  | { readonly name: "OPEN" | "CLOSING" | "CLOSED" }
  | { readonly name: "BROKEN"; readonly makeError: () => Error };

/** Submits tasks, settles their futures, cancels, shuts down. */
export class Pool implements FutureOwner, WorkersOwner {
  readonly #kind: PoolKind;
  readonly #queue: TaskQueue;
  readonly #encodeOptions: EncodeOptions;
  readonly #workers: Workers;
  readonly #functions: Functions;
  readonly #shared: SharedArguments;
  readonly #tasks: TaskTable;
  readonly #dispatcher: Dispatcher;
  readonly #collector: Collector;
  readonly #events = new TaskEvents();
  /** Where workers are threads: those of its tasks that are to end. */
  readonly #stops: Stops | undefined;
  readonly #tally = new Tally();
  /** Where only so many tasks may wait. */
  readonly #room: Room | undefined;
  /** What those see who watch the pool. */
  readonly watch: Watch;
  readonly #initializer: (() => Initializer) | undefined;
  /** Whether it is noted where tasks are submitted. */
  readonly #notesSubmissions: boolean;
  #state: State = { name: "OPEN" };
  /** How often the bell had been rung just before results were collected last. */
  #collectedAt = 0;
  readonly #closed = Promise.withResolvers<void>();

  constructor(kind: PoolKind) {
    refuseWhileImporting(`create a ${kind.name}`);
    watchEndOfProgram();
    const memory = createPoolMemory(kind.maxConsumers);
    const queue = this.#queue = new TaskQueue(memory);
    const workers = this.#workers = new Workers(kind, memory, queue, this);
    const functions = this.#functions = new Functions(kind, (message) => workers.tell(message));
    const shared = this.#shared = new SharedArguments((message) => workers.tell(message));
    const tasks = this.#tasks = new TaskTable(queue, shared);
    const mayStart = () => !this.#isOver;
    this.#stops = kind.stop === "terminate"
      ? new Stops(queue, tasks, {
        workerOf: (word) => this.#nameOf(serialOf(word)),
        failSlot: (slot, reason) => this.#failSlot(slot, reason),
        giveUp: (slot) => this.#giveUp(slot),
        wokenFrom: (serial) => {
          const worker = workers.find(serial);
          return worker && (queue.parking.wokenFrom(worker.index) ?? "awake");
        },
        giveUpWoken: (serial) => this.#giveUpWoken(serial),
      })
      : undefined;
    const tally = this.#tally;
    this.#dispatcher = new Dispatcher({ kind, queue, tasks, tally, shared, workers, mayStart });
    const events = this.#events;
    const onReport = (type: number, value: unknown) => this.#onReport(type, value);
    const onStopped = (serial: number) => this.#stops?.onEnded(serial);
    this.#collector = new Collector({ kind, workers, queue, tasks, tally, functions, events, onReport, onStopped });
    this.watch = new Watch({ kind, workers, queue, tasks, tally, functions, collect: () => this.collect() });
    this.#room = kind.maxQueued === undefined ? undefined : new Room({
      name: kind.name,
      limit: kind.maxQueued,
      unfinished: () => tally.unfinished,
      begun: () => this.watch.begun.items,
      watch: (isWatched) => queue.setWatched(isWatched),
    });
    this.#kind = kind;
    this.#notesSubmissions = kind.submittedAt ?? false;
    this.#encodeOptions = { root: "args", sameProcess: kind.sameProcess, signals: kind.carriesSignals };
    this.#initializer = kind.initializer &&
      prepareInitializer(kind.initializer, functions, { ...this.#encodeOptions, signals: false });
  }

  /**
   * Queues a task.
   *
   * @param isTimed Whether it is an item of a map, whose next chunks depend on how long it takes.
   * @param options What was given to `with()`.
   * @throws {ShutdownError} The pool was shut down.
   * @throws {BrokenExecutor} The pool is broken.
   * @throws {QueueFullError} No more tasks may wait.
   * @throws {TypeError} `fn` is not a function.
   */
  submit(fn: AnyFunction, args: unknown[], isTimed = false, options?: NotedOptions): Future<unknown> {
    if (options !== undefined || this.#notesSubmissions) return this.#submitControlled(fn, args, isTimed, options);
    this.#assertSubmittable(fn, 1);
    let number: number, payload: Encoded;
    try {
      // The function first: what moves with the arguments would be gone in vain.
      number = this.#functions.define(fn, this.#prepareWorker);
      payload = encodeArguments(args, this.#encodeOptions);
    } catch (error) {
      return this.#refused(error, controlOf(fn, {}));
    }
    return this.#handOver(number, payload, isTimed ? TaskFlag.TIMED : 0, 1);
  }

  /** Apart, so that who has no options pays nothing for them. */
  #submitControlled(fn: AnyFunction, args: unknown[], isTimed: boolean, given?: NotedOptions): Future<unknown> {
    this.#assertSubmittable(fn, 1);
    const options = this.noted(given)!;
    const control = controlOf(fn, options);
    if (options.signal?.aborted) return this.#cancelled(control, 1, false);
    let number: number, payload: Encoded;
    try {
      number = this.#functions.define(fn, this.#prepareWorker);
      payload = encodeArguments(args, this.#optionsFor(control));
      if (control.name !== undefined) payload = withName(control.name, payload);
    } catch (error) {
      return this.#refused(error, control);
    }
    return this.#handOverControlled(number, payload, isTimed ? TaskFlag.TIMED : 0, 1, options, control);
  }

  /** A task of a new function follows: its worker starts while the function is described. */
  readonly #prepareWorker = (): void => this.#workers.prepare();

  /** Adds to the options of tasks where they are submitted, unless that is not wanted, or has been done. */
  noted(options: NotedOptions | undefined): NotedOptions | undefined {
    return !this.#notesSubmissions || options?.origin !== undefined
      ? options
      : { ...options, origin: new Submission() };
  }

  /**
   * Queues several calls of a function as one task, whose result is a `ChunkOutcome`: in a column one argument for
   * each, else lists of them. Where a failure ends nothing, the result is a `SettledOutcome`.
   *
   * @returns `undefined` when the function or an argument cannot cross.
   * @throws As {@linkcode submit}.
   */
  submitChunk(
    fn: AnyFunction,
    items: unknown[],
    isColumn: boolean,
    isSettled: boolean,
    options?: NotedOptions,
  ): Future<unknown> | undefined {
    this.#assertSubmittable(fn, items.length);
    const control = options && controlOf(fn, options);
    if (options?.signal?.aborted) return this.#cancelled(control, items.length, true);
    let number: number, payload: Encoded;
    try {
      number = this.#functions.define(fn, this.#prepareWorker);
      payload = encodeItems(items, this.#optionsFor(control));
      if (control?.name !== undefined) payload = withName(control.name, payload);
    } catch {
      return undefined;
    }
    let flags = TaskFlag.CHUNK | TaskFlag.TIMED | (isColumn ? TaskFlag.COLUMN : 0) | (isSettled ? TaskFlag.SETTLED : 0);
    if (options?.signal !== undefined) flags |= TaskFlag.SIGNAL;
    return options === undefined
      ? this.#handOver(number, payload, flags, items.length)
      : this.#handOverControlled(number, payload, flags, items.length, options, control!);
  }

  /** How the arguments of a task are encoded: what refuses one names the task. */
  #optionsFor(control: TaskControl | undefined): EncodeOptions {
    const task = control?.name;
    return task === undefined ? this.#encodeOptions : { ...this.#encodeOptions, task };
  }

  /** The future of tasks whose signal is aborted before they are handed over. */
  #cancelled(control: TaskControl | undefined, items: number, isChunk: boolean): Future<unknown> {
    const future = internals.cancelled(control);
    this.#tally.countRefused(future, "cancelled", items, isChunk);
    return future;
  }

  /** The future of a task that cannot be sent. */
  #refused(error: unknown, control: TaskControl): Future<unknown> {
    try {
      // What has refused it says nothing to a user; where it was submitted does, and is still known.
      (control.origin as Submission | undefined ?? new Submission()).replaceIn(error);
    } catch {
      // There is no stack left for that.
    }
    const future = internals.fail(error, control);
    this.#tally.countRefused(future, "threw", 1, false);
    return future;
  }

  #handOverControlled(
    fn: number,
    payload: Encoded,
    flags: number,
    items: number,
    { signal, name, timeout }: NotedOptions,
    control: TaskControl,
  ): Future<unknown> {
    if (signal?.aborted) {
      // A getter of an argument has done that.
      payload.discard();
      return this.#cancelled(control, items, (flags & TaskFlag.CHUNK) !== 0);
    }
    if (name !== undefined) flags |= TaskFlag.NAMED;
    if (timeout !== undefined && timeout !== Infinity) {
      flags |= TaskFlag.TIMEOUT;
      this.#stops?.watch(control);
    }
    const future = this.#handOver(fn, payload, flags, items, control);
    if (signal !== undefined) stopWith(signal, future);
    return future;
  }

  #handOver(fn: number, payload: Encoded, flags: number, items: number, control?: TaskControl): Future<unknown> {
    if (this.#state.name !== "OPEN" || this.#room !== undefined) {
      flags |= TaskFlag.BOUNDED;
      try {
        // A getter of an argument may have closed the pool, or broken it, or have submitted something itself.
        this.#assertOpen();
        this.#room?.take(items);
      } catch (error) {
        payload.discard();
        throw error;
      }
    }
    const tally = this.#tally;
    const { shared } = payload;
    // A getter of an argument may have aborted one that was encoded before it.
    if (shared.length > 0) noteSignals(shared);
    let future: Future<unknown>;
    if (tally.isNextMeasured(items)) {
      const at = sharedNow();
      future = this.#dispatcher.handOver(this, fn, payload, flags | TaskFlag.MEASURED, control);
      tally.measure(future, at, fn, items, (flags & TaskFlag.CHUNK) !== 0);
    } else {
      future = this.#dispatcher.handOver(this, fn, payload, flags, control);
      if ((flags & TaskFlag.CHUNK) === 0) tally.countSubmitted();
      else tally.countChunk(future, fn, items);
    }
    if (shared.length > 0) followSignals(shared, future);
    return future;
  }

  #assertSubmittable(fn: unknown, items: number): void {
    if (typeof fn !== "function") {
      throw new TypeError(
        `Cannot submit a value that is not a function: ${inspect(fn)}. ` +
          "To fix it, give the function first, and then its arguments",
      );
    }
    refuseWhileImporting("submit a task");
    this.#assertOpen();
    refuseAfterEndOfProgram();
    this.#room?.assertFree(items);
    this.#stops?.onSubmit();
  }

  /** Whether only so many tasks may wait. */
  get isBounded(): boolean {
    return this.#room !== undefined;
  }

  /** For how many tasks there is room, if they are submitted at once; `undefined` where any number may wait. */
  offerRoom(): number | undefined {
    return this.#room?.offer();
  }

  /**
   * A future that is done when there is room for a task, and fails where there will be none.
   *
   * @param isQuick Whether the room is used in a callback of the future.
   * @throws {ShutdownError} The pool was shut down.
   * @throws {BrokenExecutor} The pool is broken.
   */
  whenRoom(isQuick: boolean): Future<void> {
    this.#assertOpen();
    if (this.#room !== undefined) return this.#room.wait(isQuick);
    const future = new Future<void>();
    future.setResult();
    return future;
  }

  #assertOpen(): void {
    if (this.#state.name === "BROKEN") throw this.#state.makeError();
    if (this.#state.name !== "OPEN") {
      throw shutdownError();
    }
  }

  /** Looks where a function is, ahead of its tasks; what that throws, the futures of the tasks tell. */
  locate(fn: AnyFunction): void {
    try {
      this.#functions.define(fn);
    } catch {
      // Told later.
    }
  }

  /**
   * Copies arguments of a function that many calls have, by their places.
   *
   * @param isReadLater Whether they may change before the last call.
   * @returns What stands for them in each call. Where workers get them once, also what stands for the function, which
   * must be unbound when the last call is done.
   */
  bind(
    fn: AnyFunction,
    constants: Constants,
    isReadLater: boolean,
  ): { standIn: AnyFunction | undefined; constants: Constants } {
    const maxSmall = this.#kind.bindsArguments ? MAX_INLINE_BYTES : Infinity;
    const { bound, standIns } = copyConstants(constants, isReadLater, maxSmall, this.#encodeOptions);
    if (bound === undefined) return { standIn: undefined, constants: standIns };
    try {
      return { standIn: this.#functions.bind(fn, bound), constants: standIns };
    } catch {
      // Each item is refused for it.
      return { standIn: undefined, constants };
    }
  }

  /** Ends {@linkcode bind}. */
  unbind(standIn: AnyFunction): void {
    this.#functions.unbind(standIn);
  }

  /** How many milliseconds an item of a function takes, if it was mapped before. */
  msPerItem(fn: AnyFunction): number | undefined {
    return this.#functions.msPerItem(fn);
  }

  // FutureOwner

  peek(slot: number): "waiting" | "pending" | "running" | "done" {
    if (this.#dispatcher.isInterrupted) return "waiting";
    // Who asks again and again may neither block nor yield, and then nobody else looks. This may settle the future.
    if (this.#stops?.isWatching) lookIfDue();
    // Room is made by consumers, and they ring.
    if (slot < 0) return Atomics.load(bell, SEQUENCE) === this.#collectedAt ? "pending" : "waiting";
    switch (Atomics.load(this.#queue.slots, slot) & STATE_MASK) {
      case TaskState.RUNNING:
      case TaskState.STOPPING:
        return "running";
      case TaskState.DONE:
        return "done";
      default:
        return "pending";
    }
  }

  revoke(slot: number, future: Future<unknown>): boolean {
    if (slot >= 0) {
      const { slots } = this.#queue;
      let state: number;
      // What was found is looked at, not what is there a moment later: it may be pending by then.
      while (
        (state = Atomics.compareExchange(slots, slot, TaskState.PENDING, TaskState.CANCELLED)) !== TaskState.PENDING
      ) {
        if (state !== TaskState.PREFETCHED || !this.#awaitRecall(slot)) return false;
      }
      this.#tasks.forget(slot);
    } else {
      // What waited behind it may have its turn now: not here, where it is not yet cancelled.
      ring(bell);
    }
    this.#tasks.unsettled--;
    this.#tally.cancel(future);
    this.#room?.look();
    this.#closeWhenDone();
    return true;
  }

  stop(slot: number, reason: unknown): boolean | "pending" {
    const future = this.#tasks.futureOf(slot);
    if (future === undefined) return false;
    const word = this.#queue.stop(slot);
    if (word === undefined) {
      return Atomics.load(this.#queue.slots, slot) === TaskState.PENDING ? "pending" : false;
    }
    const grace = internals.controlOf(future)?.grace ?? GRACE_MS;
    if (this.#stops === undefined) {
      this.#tasks.noteStop(slot, { reason });
      this.#tellToEnd(slot, grace);
    } else {
      this.#stops.add(slot, reason, grace);
      this.#workers.find(serialOf(word))?.worker.postMessage(
        { type: "abort", slot, grace } satisfies ConsumerMessage,
      );
    }
    return true;
  }

  /** Has a broker end what runs the task of a slot. */
  #tellToEnd(slot: number, grace: number): void {
    // Not another task's until the broker has answered, which would be meant then.
    this.#tasks.pin(slot);
    this.#workers.tell({ type: "abort", slot, grace });
  }

  /** Blocks until a task that waits behind another one is recalled or begun, which takes some microseconds. */
  #awaitRecall(slot: number): boolean {
    this.#workers.tell({ type: "recall", slot });
    return Atomics.wait(this.#queue.slots, slot, TaskState.PREFETCHED, this.#kind.recallMs ?? RECALL_MS) !==
      "timed-out";
  }

  // Source

  collect(until = Infinity): boolean {
    this.#collectedAt = Atomics.load(bell, SEQUENCE);
    this.#tally.endPause();
    // Tasks may be published below.
    if (this.#dispatcher.waiting > 0) ensureStack();
    this.#dispatcher.mend();
    if (this.#collector.collect(until)) return true;
    this.#dispatcher.publishWaiting();
    this.#room?.look();
    this.#closeWhenDone();
    if (this.#workers.keepProgramAlive && this.#tasks.unsettled === 0) {
      this.#workers.stopLater(() => this.#tasks.unsettled === 0 && !this.#isOver);
    }
    return false;
  }

  lookAgain(): void {
    this.#stops?.lookAgain();
    this.#dispatcher.lookAgain();
  }

  isBusy(): boolean {
    // A broker rests while its processes run tasks.
    return this.#kind.stop === "ask" || this.#queue.parking.isBusy();
  }

  // WorkersOwner

  known(): Known {
    return {
      definitions: this.#functions.definitions,
      shared: this.#shared.known(),
      bound: this.#functions.bound,
      initializer: this.#initializer?.(),
    };
  }

  onStartFailure(error: unknown): void {
    this.#breakBecause("A worker did not start", error);
  }

  onWorkerFailure(error: unknown): void {
    this.#breakBecause("A worker failed", error);
    // It will end nothing any more.
    this.#terminateWorkers();
  }

  /** What a consumer says of itself. */
  #onReport(type: number, value: unknown): void {
    if (type === RecordType.GONE) this.#terminateWorkers();
    else if (type === RecordType.WORKER_NAME) this.#kind.onWorkerName?.(...value as [number, string]);
    else if (type === RecordType.INITIALIZER_FAILED) this.#breakBecause("The initializer failed", value);
    else if (this.#kind.errorOf !== undefined) {
      const task = this.#taskOf(value as LossReport);
      this.#break(() => this.#kind.errorOf!(value, task));
    } else this.#breakBecause("A worker cannot answer", "a task changed built-in objects that its worker needs");
  }

  /** The name of the task that a report is about. */
  #taskOf({ slot = -1 }: LossReport): string | undefined {
    const future = this.#tasks.futureOf(slot);
    return future && nameOf(future);
  }

  // Tasks that are to end

  #nameOf(serial: number): string {
    const index = this.#workers.find(serial)?.index;
    return index === undefined ? "a thread" : this.#kind.workerName?.(index) ?? `thread ${index}`;
  }

  /** Fails the future of a task whose thread may still run it. */
  #failSlot(slot: number, reason: unknown): void {
    const future = this.#tasks.futureOf(slot);
    if (future === undefined) return;
    const worker = this.#workers.find(serialOf(Atomics.load(this.#queue.slots, slot)))?.index ?? 0;
    this.#tasks.forget(slot);
    this.#tasks.unsettled--;
    const { began } = this.#queue.timesOf(slot);
    this.#tally.fail(future, reason, "stopped", { began, ended: sharedNow(), worker });
    this.#room?.look();
    this.#closeWhenDone();
  }

  /** Ends the thread that runs a task, whose future has failed; another thread may take its place. */
  #giveUp(slot: number): void {
    const serial = this.#queue.abandon(slot);
    const worker = serial === undefined ? undefined : this.#workers.find(serial);
    if (worker !== undefined) this.#endLost(worker, slot);
  }

  /** The same for one that was woken for a task and does not come: it computes what it had left behind. */
  #giveUpWoken(serial: number): void {
    const worker = this.#workers.find(serial);
    if (worker !== undefined && this.#queue.parking.move(worker.index, Status.WOKEN, Status.LEFT)) {
      this.#endLost(worker);
    }
  }

  #endLost(worker: RunningWorker, slot?: number): void {
    const name = this.#nameOf(worker.serial);
    // What it has published before is not lost.
    this.collect();
    this.#workers.end(worker, HolderState.DEAD);
    if (this.#isOver) return;
    this.#tally.countLost();
    if (slot !== undefined) this.#tasks.free(slot);
    this.#dispatcher.onWorkerGone();
    console.warn(
      `${name} was given up, because its task goes on after it was stopped: it keeps a core busy until it ends`,
    );
  }

  /** Ends a worker alone that has been asleep for so many milliseconds; `false` when none has. */
  endIdleWorker(ms = 0): boolean {
    const worker = this.#workers.takeOutIdle(ms);
    if (worker === undefined) return false;
    // It has published nothing since it fell asleep.
    this.collect();
    this.#workers.end(worker, HolderState.ENDED);
    this.#dispatcher.onWorkerGone();
    return true;
  }

  /** What is heard of tasks besides their results. */
  get events(): TaskEvents {
    return this.#events;
  }

  // The end

  #breakBecause(message: string, cause: unknown): void {
    const text = `${message}: ${cause instanceof Error ? cause.message : inspect(cause)}`;
    this.#break(() => this.#kind.brokenError(text, cause));
  }

  /**
   * Makes the pool unusable: every unfinished future fails with an error of its own.
   *
   * A broker that reports this has begun to end what it has started. It does not wait for an order, because this thread
   * may compute for minutes before it reads the report. Until then, tasks would begin whose futures fail. The broker
   * says that it has gone after the order that follows.
   */
  #break(makeError: () => Error): void {
    if (this.#state.name === "BROKEN" || this.#state.name === "CLOSED") return;
    this.#state = { name: "BROKEN", makeError };
    const unfinished = [...this.#tasks.futures(), ...this.#dispatcher.dropAll()];
    this.#tasks.forgetAll();
    this.#stopWorkers("SIGTERM");
    for (const future of unfinished) {
      this.#tally.fail(future, withSubmission(future, withoutFrames(makeError)), "stopped");
    }
    this.#room?.close(makeError);
  }

  /** Stops taking work; `cancelFutures` cancels what no worker has started. */
  shutdown(cancelFutures: boolean): void {
    this.#shutDown(cancelFutures)();
  }

  /** Does so, and calls nobody; returns what calls the listeners of the futures that were cancelled. */
  #shutDown(cancelFutures: boolean): () => void {
    if (this.#state.name === "OPEN") {
      this.#state = { name: "CLOSING" };
      this.#room?.close(shutdownError);
    }
    let deliver = () => {};
    if (cancelFutures) {
      // All before the first callback: one that blocks would let the workers take the next ones.
      deliver = internals.cancelAll([...this.#tasks.futures(), ...this.#dispatcher.waitingFutures()]);
    }
    this.#closeWhenDone();
    return deliver;
  }

  /** As {@linkcode shutdown}, cancelling, and sends a signal to the processes of a broker. */
  kill(signal: Deno.Signal): void {
    const deliver = this.#shutDown(true);
    this.#workers.tell({ type: "kill", signal });
    // Last: a callback may wait for a task that is killed.
    deliver();
  }

  /** Resolves when every worker is gone. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Blocks until every worker is gone. */
  blockUntilClosed(): void {
    blockUntil(() => this.#isOver && this.#workers.count === 0, Infinity);
  }

  /** Whether nothing is unfinished, and nothing will be. */
  get #isOver(): boolean {
    return this.#state.name === "CLOSED" || this.#state.name === "BROKEN";
  }

  #closeWhenDone(): void {
    if (this.#state.name !== "CLOSING" || this.#tasks.unsettled > 0) return;
    // Those that wait have all been cancelled.
    this.#dispatcher.dropWaiting();
    this.#state = { name: "CLOSED" };
    this.#stopWorkers();
  }

  /** Ends the workers of a pool that is over: threads at once, a broker by itself, after its processes. */
  #stopWorkers(signal?: Deno.Signal): void {
    if (!this.#mustAsk) {
      this.#terminateWorkers();
      return;
    }
    hold();
    this.#workers.tell({ type: "stop", signal });
  }

  /** Whether there are workers that have to end something else before. */
  get #mustAsk(): boolean {
    return this.#kind.stop === "ask" && this.#workers.count > 0;
  }

  #terminateWorkers(): void {
    const wasAsked = this.#isOver && this.#mustAsk;
    this.#workers.terminate(this.#state.name === "BROKEN" ? HolderState.DEAD : HolderState.ENDED);
    if (wasAsked) release();
    if (this.#isOver) this.#closed.resolve();
  }

  /** The pool's state in some lines, for the report on a hang. */
  describe(): string {
    const { unsettled, collected } = this.#tasks;
    return `${this.#kind.name} ${this.#state.name}: unsettled=${unsettled} waiting=${this.#dispatcher.waiting} ` +
      `collected=${collected} workers=${this.#workers.count}\n${this.#queue.describe()}`;
  }
}

/** What a future and its task's slot know of the options of `with()`. */
function controlOf(fn: AnyFunction, { name, timeout, grace, origin }: NotedOptions): TaskControl {
  return { name, timeout, grace, fn: fn.name, origin };
}

function shutdownError(): ShutdownError {
  return new ShutdownError("Cannot schedule new futures after shutdown");
}
