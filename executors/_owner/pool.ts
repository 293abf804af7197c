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
import { type Future, type FutureOwner, internals } from "../../futures/future.ts";
import { ring, SEQUENCE } from "../../futures/bell.ts";
import { ensureStack } from "../../futures/stack.ts";
import { bell, blockUntil, hold, release } from "../../futures/wakeup.ts";
import type { Encoded } from "../_values/encoded.ts";
import { encodeArguments, encodeItems, type EncodeOptions } from "../_values/codec.ts";
import { type Initializer, RecordType, STATE_MASK, TaskFlag, TaskState } from "../_queue/protocol.ts";
import { createPoolMemory, TaskQueue } from "../_queue/task_queue.ts";
import { Collector } from "./_collector.ts";
import { Dispatcher } from "./_dispatcher.ts";
import { type AnyFunction, Functions } from "./_functions.ts";
import { prepareInitializer } from "./_initializer.ts";
import type { PoolKind } from "./kind.ts";
import { refuseAfterEndOfProgram, refuseWhileImporting, watchEndOfProgram } from "./_program.ts";
import { SharedArguments } from "./_shared_arguments.ts";
import type { TaskControl } from "./task_control.ts";
import { TaskEvents } from "./_task_events.ts";
import { TaskTable } from "./_task_table.ts";
import { type Known, Workers, type WorkersOwner } from "./_workers.ts";

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
export class Pool implements FutureOwner, TaskControl, WorkersOwner {
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
  readonly #initializer: (() => Initializer) | undefined;
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
    this.#dispatcher = new Dispatcher({ kind, queue, tasks, shared, workers, mayStart });
    const events = this.#events;
    const onReport = (type: number, value: unknown) => this.#onReport(type, value);
    this.#collector = new Collector({ kind, workers, tasks, functions, events, onReport });
    this.#kind = kind;
    this.#encodeOptions = { root: "args", sameProcess: kind.sameProcess };
    this.#initializer = kind.initializer &&
      prepareInitializer(kind.initializer, functions, this.#encodeOptions);
  }

  /**
   * Queues a task.
   *
   * @param isTimed Whether it is an item of a map, whose next chunks depend on how long it takes.
   * @throws {ShutdownError} The pool was shut down.
   * @throws {BrokenExecutor} The pool is broken.
   * @throws {TypeError} `fn` is not a function.
   */
  submit(fn: AnyFunction, args: unknown[], isTimed = false): Future<unknown> {
    this.#assertSubmittable(fn);
    let number: number, payload: Encoded;
    try {
      // The function first: what moves with the arguments would be gone in vain.
      number = this.#functions.define(fn);
      payload = encodeArguments(args, this.#encodeOptions);
    } catch (error) {
      return internals.fail(error);
    }
    return this.#handOver(number, payload, isTimed ? TaskFlag.TIMED : 0);
  }

  /**
   * Queues several calls of a function as one task, whose result is a `ChunkOutcome`: in a column one argument for
   * each, else lists of them.
   *
   * @returns `undefined` when the function or an argument cannot cross.
   * @throws As {@linkcode submit}.
   */
  submitChunk(fn: AnyFunction, items: unknown[], isColumn: boolean): Future<unknown> | undefined {
    this.#assertSubmittable(fn);
    let number: number, payload: Encoded;
    try {
      number = this.#functions.define(fn);
      payload = encodeItems(items, this.#encodeOptions);
    } catch {
      return undefined;
    }
    return this.#handOver(number, payload, TaskFlag.CHUNK | TaskFlag.TIMED | (isColumn ? TaskFlag.COLUMN : 0));
  }

  #handOver(fn: number, payload: Encoded, flags: number): Future<unknown> {
    if (this.#state.name !== "OPEN") {
      // A getter of an argument has closed the pool, or broken it.
      payload.discard();
      this.#assertOpen();
    }
    return this.#dispatcher.handOver(this, fn, payload, flags);
  }

  #assertSubmittable(fn: unknown): void {
    if (typeof fn !== "function") {
      throw new TypeError(
        `Cannot submit a value that is not a function: ${inspect(fn)}. ` +
          "To fix it, give the function first, and then its arguments",
      );
    }
    refuseWhileImporting("submit a task");
    this.#assertOpen();
    refuseAfterEndOfProgram();
  }

  #assertOpen(): void {
    if (this.#state.name === "BROKEN") throw this.#state.makeError();
    if (this.#state.name !== "OPEN") {
      throw new ShutdownError("Cannot schedule new futures after shutdown");
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

  /** How many milliseconds an item of a function takes, if it was mapped before. */
  msPerItem(fn: AnyFunction): number | undefined {
    return this.#functions.msPerItem(fn);
  }

  // FutureOwner

  peek(slot: number): "waiting" | "pending" | "running" | "done" {
    if (this.#dispatcher.isInterrupted) return "waiting";
    // Room is made by consumers, and they ring.
    if (slot < 0) return Atomics.load(bell, SEQUENCE) === this.#collectedAt ? "pending" : "waiting";
    switch (Atomics.load(this.#queue.slots, slot) & STATE_MASK) {
      case TaskState.RUNNING:
        return "running";
      case TaskState.DONE:
        return "done";
      default:
        return "pending";
    }
  }

  revoke(slot: number): boolean {
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
    this.#closeWhenDone();
    return true;
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
    // Tasks may be published below.
    if (this.#dispatcher.waiting > 0) ensureStack();
    this.#dispatcher.mend();
    if (this.#collector.collect(until)) return true;
    this.#dispatcher.publishWaiting();
    this.#closeWhenDone();
    if (this.#workers.keepProgramAlive && this.#tasks.unsettled === 0) {
      this.#workers.stopLater(() => this.#tasks.unsettled === 0 && !this.#isOver);
    }
    return false;
  }

  lookAgain(): void {
    this.#dispatcher.lookAgain();
  }

  // WorkersOwner

  known(): Known {
    return {
      definitions: this.#functions.definitions,
      shared: this.#shared.known(),
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
    else if (type === RecordType.INITIALIZER_FAILED) this.#breakBecause("The initializer failed", value);
    else if (this.#kind.errorOf !== undefined) this.#break(() => this.#kind.errorOf!(value));
    else this.#breakBecause("A worker cannot answer", "a task changed built-in objects that its worker needs");
  }

  // TaskControl

  abort(future: Future<unknown>): void {
    const slot = this.#tasks.slotOf(future);
    if (slot === -1) return;
    if (this.#kind.stop === "terminate") {
      this.#giveUp(
        slot,
        () => this.#kind.brokenError("The task was aborted, and the thread that ran it was ended", undefined),
      );
      return;
    }
    // Not another task's until the broker has answered, which would be meant then.
    this.#tasks.pin(slot);
    this.#workers.tell({ type: "abort", slot });
  }

  onProgress(future: Future<unknown>, listener: (value: unknown) => void): void {
    this.#events.onProgress(future, listener);
  }

  /** Ends the thread that runs a task, if one does, and fails the task; another thread may take its place. */
  #giveUp(slot: number, makeError: () => Error): void {
    const serial = this.#queue.abandon(slot);
    const worker = serial === undefined ? undefined : this.#workers.find(serial);
    const future = this.#tasks.futureOf(slot);
    if (worker === undefined || future === undefined) return;
    // What it has published before is not lost.
    this.collect();
    this.#workers.end(worker);
    if (this.#isOver) return;
    this.#tasks.free(slot);
    this.#tasks.unsettled--;
    internals.settle(future, false, makeError());
    this.#dispatcher.startWorkers();
    this.#closeWhenDone();
  }

  /** Ends a worker alone that has nothing to do; `false` when none sleeps. */
  endIdleWorker(): boolean {
    const worker = this.#workers.takeOutIdle();
    if (worker === undefined) return false;
    // It has published nothing since it fell asleep.
    this.collect();
    this.#workers.end(worker);
    this.#dispatcher.startWorkers();
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
    for (const future of unfinished) internals.settle(future, false, makeError());
  }

  /** Stops taking work; `cancelFutures` cancels what no worker has started. */
  shutdown(cancelFutures: boolean): void {
    this.#shutDown(cancelFutures)();
  }

  /** Does so, and calls nobody; returns what calls the listeners of the futures that were cancelled. */
  #shutDown(cancelFutures: boolean): () => void {
    if (this.#state.name === "OPEN") this.#state = { name: "CLOSING" };
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
    this.#workers.terminate();
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
