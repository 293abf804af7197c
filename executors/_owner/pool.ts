/**
 * The half of a pool that runs in the thread which submits: the same for every kind of worker.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { InvalidStateError, SerializationError, ShutdownError } from "../../futures/errors.ts";
import { type Future, type FutureOwner, internals } from "../../futures/future.ts";
import { ring, SEQUENCE, STATE } from "../../futures/bell.ts";
import { ensureStack, LOADING } from "../../futures/stack.ts";
import {
  addSource,
  bell,
  blockUntil,
  hold,
  lookAgainAfter,
  release,
  removeSource,
  type Source,
} from "../../futures/wakeup.ts";
import { EMPTY, Encoded, EncodedSections, Encoding } from "../_values/encoded.ts";
import { decodeValue, encodeArguments, encodeItems, type EncodeOptions, encodeValue } from "../_values/codec.ts";
import { fromPosted, toPosted } from "../_queue/posted.ts";
import {
  type ConsumerMessage,
  type ConsumerStart,
  MAX_INLINE_BYTES,
  msOf,
  type PostedPayload,
  type PostedResult,
  RecordType,
  SLOTS,
  TaskFlag,
  TaskState,
} from "../_queue/protocol.ts";
import { ResultRing } from "../_queue/ring.ts";
import { createPoolMemory, TaskQueue } from "../_queue/task_queue.ts";
import { type Definition, definitionKey } from "../_functions/definition.ts";
import type { PoolKind } from "./kind.ts";
import { describe } from "../_functions/describe.ts";
import { importingModule } from "../_functions/resolve.ts";
import { SharedArguments } from "./_shared_arguments.ts";

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

/** Where a task is that is handed over. */
const Place = {
  /** With nobody but its future: if it stays so, that must fail. */
  NONE: 0,
  /** In the owner's memory, because there is no room or it waits for an idle worker. */
  WAITING: 1,
  /** With the consumers. */
  PUBLISHED: 2,
} as const;

/** A task on its way to the consumers. */
interface Handover {
  readonly future: Future<unknown>;
  readonly fn: number;
  flags: number;
  payload: Encoded;
  place: number;
  /** The slot that it has, or -1. */
  slot: number;
  /** The worker that was reserved for it, and was sent nothing. */
  reserved: Worker | undefined;
  /** What went wrong, and with which task before. */
  error: unknown;
  before: Handover | undefined;
}

interface RunningWorker {
  readonly index: number;
  readonly worker: Worker;
  readonly results: ResultRing;
  readonly port: MessagePort;
}

/** How long idle workers stay where they would keep the program alive, in milliseconds. */
const IDLE_MS = 100;

/** How long a worker that has finished a task may take to be idle, in milliseconds, and how many bytes could be copied in one. */
const REST_MS = 0.05;
const COPIED_PER_MS = 2 ** 22;

/** How long `cancel()` waits for a prefetched task to be recalled, in milliseconds, unless the kind of pool says another time; one that does not answer runs it. */
const RECALL_MS = 1_000;

/** How long a task may lie in the queue while a worker sleeps, or could be started, in milliseconds. */
const LOOK_AGAIN_MS = 20;

/**
 * After how many looks at which no task has been finished another worker is started. To wake one costs nothing; but on a
 * busy machine a worker that is about to come may take longer, and then one more would be started for nothing.
 */
const LOOKS_BEFORE_START = 15;

/** How long the end of the program waits for a broker, in milliseconds. */
const UNLOAD_MS = 3_000;

/**
 * What a pool can do next. OPEN takes work; CLOSING only finishes it; CLOSED and BROKEN have no unfinished futures, and no workers
 * but a broker that is ending its processes. OPEN -> CLOSING by shutdown(), CLOSING -> CLOSED by the last result, any but CLOSED -> BROKEN.
 */
type State =
  | { readonly name: "OPEN" | "CLOSING" | "CLOSED" }
  | { readonly name: "BROKEN"; readonly makeError: () => Error };

/** Submits tasks, settles their futures, cancels, shuts down. */
export class Pool implements Source, FutureOwner {
  readonly #kind: PoolKind;
  readonly #queue: TaskQueue;
  readonly #memory;
  readonly #encodeOptions: EncodeOptions;
  #state: State = { name: "OPEN" };
  readonly #workers: RunningWorker[] = [];
  readonly #definitions: Definition[] = [];
  readonly #functions = new WeakMap<AnyFunction, number>();
  readonly #functionsByDefinition = new WeakMap<Definition, number>();
  readonly #functionsByKey = new Map<string, number>();
  /** Slots that are free, the lowest on top, and the futures of those that are not. */
  readonly #freeSlots = Array.from({ length: SLOTS }, (_, i) => SLOTS - 1 - i);
  readonly #futures: (Future<unknown> | undefined)[] = new Array(SLOTS).fill(undefined);
  /** The functions of the slots whose tasks are timed, and what an item of a function took. */
  readonly #timed = new Map<number, number>();
  readonly #msPerItem = new Map<number, number>();
  /** How many looks in a row have found that nobody comes, and how many tasks had been finished at the last one. */
  #vainLooks = 0;
  #finishedAtLook = 0;
  /** Slots whose tasks are being aborted. */
  readonly #pinned = new Set<number>();
  readonly #waiting: Handover[] = [];
  #published = 0;
  /** The last of the tasks that were interrupted while they were handed over. */
  #interrupted: Handover | undefined;
  /** Tasks that are neither cancelled nor settled. */
  #unsettled = 0;
  /** Results that were collected, modulo 2³². */
  #collected = 0;
  #nextToCollect = 0;
  /** How often the bell had been rung just before results were collected last. */
  #collectedAt = 0;
  readonly #shared = new SharedArguments((message) => this.#tellWorkers(message));
  /** Whether idle workers must be stopped so that the program can end. */
  #keepsProgramAlive = false;
  /** Whether a broker was told to end, and has not yet. */
  #isStopping = false;
  /** Whether the pool is CLOSED or BROKEN and has no worker left. */
  #hasEnded = false;
  readonly #closed = Promise.withResolvers<void>();

  constructor(kind: PoolKind) {
    refuseWhileImporting(`create a ${kind.name}`);
    addEventListener("unload", noteEndOfProgram, { capture: true });
    this.#kind = kind;
    this.#memory = createPoolMemory(kind.maxConsumers);
    this.#queue = new TaskQueue(this.#memory);
    this.#encodeOptions = { root: "args", sameProcess: kind.sameProcess };
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
      number = this.define(fn);
      payload = encodeArguments(args, this.#encodeOptions);
    } catch (error) {
      return internals.fail(error);
    }
    return this.#enqueue(number, payload, isTimed ? TaskFlag.TIMED : 0);
  }

  /**
   * Queues several calls of a function as one task, whose result is a `ChunkOutcome`: in a column one argument for each, else lists of them.
   *
   * @returns `undefined` when the function or an argument cannot cross.
   * @throws As {@linkcode submit}.
   */
  submitChunk(fn: AnyFunction, items: unknown[], isColumn: boolean): Future<unknown> | undefined {
    this.#assertSubmittable(fn);
    let number: number, payload: Encoded;
    try {
      number = this.define(fn);
      payload = encodeItems(items, this.#encodeOptions);
    } catch {
      return undefined;
    }
    return this.#enqueue(number, payload, TaskFlag.CHUNK | TaskFlag.TIMED | (isColumn ? TaskFlag.COLUMN : 0));
  }

  /**
   * Hands a task over. Up to the count of it nothing is changed that an error would leave behind. From then on no
   * error leaves this method: one fails the future, unless the consumers have the task by then. That error may be a
   * stack overflow, at any call, and then every call in a `catch` fails, too. So there the task is only put into a
   * list by assignments, and the event loop, or whoever blocks or asks next, gives everything back. What takes more
   * than some calls (starting a worker, messages, memory) makes sure of the stack first.
   */
  #enqueue(fn: number, payload: Encoded, flags: number): Future<unknown> {
    if (this.#state.name !== "OPEN") {
      // A getter of an argument has closed the pool, or broken it.
      payload.discard();
      this.#assertOpen();
    }
    if (this.#wantsWorker(1)) ensureStack(LOADING);
    else if (payload.room > MAX_INLINE_BYTES || payload.shared.length > 0) ensureStack();
    const future = internals.create(this);
    const task: Handover = {
      future,
      fn,
      flags,
      payload,
      place: Place.NONE,
      slot: -1,
      reserved: undefined,
      error: undefined,
      before: undefined,
    };
    this.#unsettled++;
    try {
      if (this.#waiting.length > this.#published || !this.#publish(task)) {
        payload.takeMoved("args");
        this.#waiting.push(task);
        task.place = Place.WAITING;
        this.#lookLater();
        if (this.#waiting.length === this.#published + 1) {
          ensureStack();
          this.#publishWaiting();
        }
      }
      this.#startWorkers();
    } catch (error) {
      task.error = error;
      task.before = this.#interrupted;
      this.#interrupted = task;
      try {
        // As ring() does, and with less stack than what overflowed took.
        Atomics.store(bell, STATE, 0);
        Atomics.notify(bell, STATE);
        if (!(error instanceof RangeError)) this.#mend();
      } catch {
        // It is dealt with later.
      }
    }
    return future;
  }

  /** Deals with the tasks that were interrupted while they were handed over. */
  #mend(): void {
    if (this.#interrupted === undefined) return;
    ensureStack(LOADING);
    for (let task: Handover | undefined = this.#interrupted; task !== undefined; task = this.#interrupted) {
      this.#interrupted = task.before;
      if (task.place === Place.NONE) this.#giveBack(task);
    }
    // It may be this what was interrupted.
    this.#queue.parking.wake();
    this.#startWorkers();
  }

  /** Fails a task that nobody has. */
  #giveBack({ future, fn, payload, slot, reserved, error }: Handover): void {
    if (reserved !== undefined) {
      // It waits for a message: it gets a task that is cancelled, and frees the slot.
      this.#futures[slot] = undefined;
      Atomics.store(this.#queue.slots, slot, TaskState.CANCELLED);
      const { posted } = toPosted(EMPTY);
      reserved.postMessage({ type: "assign", slot, fn, flags: 0, payload: posted } satisfies ConsumerMessage);
    } else if (slot >= 0) this.#freeSlot(slot);
    payload.discard();
    if (future.cancelled()) return;
    internals.setSlot(future, -1);
    this.#unsettled--;
    internals.settle(future, false, notSent(error));
  }

  #assertSubmittable(fn: unknown): void {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot submit what is not a function: ${inspect(fn)}`);
    }
    refuseWhileImporting("submit a task");
    this.#assertOpen();
    if (hasProgramEnded) throw new ShutdownError("Cannot schedule new futures after the end of the program");
  }

  #assertOpen(): void {
    if (this.#state.name === "BROKEN") throw this.#state.makeError();
    if (this.#state.name !== "OPEN") {
      throw new ShutdownError("Cannot schedule new futures after shutdown");
    }
  }

  /**
   * The number by which consumers know a function.
   *
   * @throws {TaskNotFoundError} It cannot be described.
   */
  define(fn: AnyFunction): number {
    let number = this.#functions.get(fn);
    if (number !== undefined) return number;
    // Functions that are made anew for each call share a definition, or have one that is equal.
    const definition = describe(fn, this.#kind.checkDefinition !== undefined);
    this.#kind.checkDefinition?.(definition);
    number = this.#functionsByDefinition.get(definition);
    if (number === undefined) {
      const key = definitionKey(definition);
      number = this.#functionsByKey.get(key);
      if (number === undefined) {
        ensureStack(LOADING);
        number = this.#definitions.length;
        // First: what is known here and not there would be waited for.
        this.#tellWorkers({ type: "define", fn: number, definition });
        this.#definitions.push(definition);
        this.#functionsByKey.set(key, number);
      }
      this.#functionsByDefinition.set(definition, number);
    }
    this.#functions.set(fn, number);
    return number;
  }

  #tellWorkers(message: ConsumerMessage): void {
    for (const { worker } of this.#workers) worker.postMessage(message);
  }

  /**
   * Hands a task to the consumers; `false` when it must wait.
   *
   * @throws Something on the way, also where the task has been published.
   */
  #publish(task: Handover): boolean {
    const { future, fn, payload } = task;
    const slot = this.#freeSlots.pop();
    if (slot === undefined) return false;
    task.slot = slot;
    this.#futures[slot] = future;
    if ((task.flags & TaskFlag.TIMED) !== 0) this.#timed.set(slot, fn);
    internals.setSlot(future, slot);
    Atomics.store(this.#queue.slots, slot, TaskState.PENDING);
    const isLarge = payload.room > MAX_INLINE_BYTES;
    if (isLarge && this.#assign(slot, task)) return true;
    payload.takeMoved("args");
    if (payload.encoding !== Encoding.CLONE) {
      // An idle worker gets large values without another copy; else they wait in shared memory for any worker.
      if (isLarge) {
        task.payload = this.#shared.moveOut(payload);
        task.flags |= TaskFlag.SHARED;
      }
      this.#shared.enter(slot, task.payload);
      if (this.#queue.append(slot, fn, task.payload.encoding, task.flags, task.payload)) {
        task.place = Place.PUBLISHED;
        if ((task.flags & TaskFlag.SHARED) !== 0) this.#shared.own(slot, task.payload);
        this.#queue.parking.wake(this.#unfinished);
        this.#lookLater();
        return true;
      }
    }
    this.#freeSlot(slot);
    task.slot = -1;
    internals.setSlot(future, -1);
    return false;
  }

  /** Gives a task directly to a worker that is idle or just starting. */
  #assign(slot: number, task: Handover): boolean {
    const { fn, flags, payload } = task;
    if (!this.#queue.isEmpty()) return false;
    this.#startWorkers();
    const deadline = performance.now() + (payload.room === Infinity ? 0 : REST_MS + payload.room / COPIED_PER_MS);
    do {
      const worker = this.#assignable(false) ?? (this.#kind.initializes ? undefined : this.#assignable(true));
      if (worker !== undefined) {
        task.reserved = worker;
        // Bytes are moved; a text would be copied once more.
        const { posted, list } = toPosted(this.#kind.sameProcess ? payload : EncodedSections.from(payload));
        // Fails for memory that cannot move: only the attempt tells.
        worker.postMessage({ type: "assign", slot, fn, flags, payload: posted } satisfies ConsumerMessage, list);
        task.place = Place.PUBLISHED;
        return true;
      }
      // One that has just finished a task is idle within microseconds; copying takes longer.
    } while (this.#unfinished <= this.#workers.length && performance.now() < deadline);
    return false;
  }

  /** A worker that is reserved for a task. */
  #assignable(mayStart: boolean): Worker | undefined {
    return this.#workers.find(({ index }) => this.#queue.parking.assign(index, mayStart))?.worker;
  }

  /** Whether there are workers that sleep, or that are not yet there. */
  get #hasMoreWorkers(): boolean {
    return this.#queue.parking.hasSleepers() || this.#workers.length < this.#kind.maxConsumers;
  }

  #lookLater(): void {
    if (this.#hasMoreWorkers) lookAgainAfter(LOOK_AGAIN_MS);
  }

  /** A worker that was woken, or has finished its task, may not come: code of the user's computes there. */
  lookAgain(): void {
    const [queue, begun] = [this.#queue, this.#workers.length];
    const isAllTaken = queue.isEmpty() && this.#waiting.length === this.#published;
    if (begun === 0 || isAllTaken || !this.#hasMoreWorkers) return;
    const isStuck = !queue.parking.wake(this.#unfinished) && !queue.parking.hasSleepers() &&
      queue.parking.lacksConsumers(this.#unfinished, begun) && this.#finishedAtLook === queue.finished;
    this.#finishedAtLook = queue.finished;
    this.#vainLooks = isStuck ? this.#vainLooks + 1 : 0;
    if (this.#vainLooks >= LOOKS_BEFORE_START && begun < this.#kind.maxConsumers) {
      this.#vainLooks = 0;
      this.#startWorker(begun);
    }
    lookAgainAfter(LOOK_AGAIN_MS);
  }

  /** How many tasks no worker has finished. What they have finished counts as done before its result was collected: they are idle again. */
  get #unfinished(): number {
    return this.#unsettled - ((this.#queue.finished - this.#collected) | 0);
  }

  /** Starts a worker if there are more tasks than workers. */
  #startWorkers(): void {
    if (this.#wantsWorker(0) && this.#state.name !== "BROKEN") this.#startWorker(this.#workers.length);
  }

  /** Whether there would be too few workers with so many tasks more. */
  #wantsWorker(more: number): boolean {
    const { length } = this.#workers;
    return length < this.#kind.maxConsumers && this.#unfinished + more > length;
  }

  #startWorker(index: number): void {
    const results = ResultRing.create();
    const { port1, port2 } = new MessageChannel();
    let worker: Worker | undefined;
    try {
      const start: ConsumerStart = {
        memory: this.#memory,
        index,
        results,
        port: port2,
        bell,
        definitions: this.#definitions,
        shared: this.#shared.known(),
        ...this.#kind.startOptions(),
      };
      worker = this.#kind.startWorker(index);
      worker.postMessage(start, [port2]);
    } catch (error) {
      worker?.terminate();
      port1.close();
      port2.close();
      this.break("Worker could not be started", error);
      return;
    }
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.break("Worker failed", event.error ?? new Error(event.message));
      // It will end nothing any more.
      this.#terminateWorkers();
    });
    this.#keepsProgramAlive = !unref(worker);
    if (this.#workers.length === 0) addSource(this);
    if (this.#kind.stop === "ask") addEventListener("unload", this.#onUnload);
    this.#workers.push({ index, worker, results: new ResultRing(results), port: port1 });
  }

  // FutureOwner

  peek(slot: number): "waiting" | "pending" | "running" | "done" {
    if (this.#interrupted !== undefined) return "waiting";
    // Room is made by consumers, and they ring.
    if (slot < 0) return Atomics.load(bell, SEQUENCE) === this.#collectedAt ? "pending" : "waiting";
    switch (Atomics.load(this.#queue.slots, slot)) {
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
        if (state !== TaskState.PREFETCHED || !this.#awaitReturn(slot)) return false;
      }
      this.#futures[slot] = undefined;
    } else {
      // What waited behind it may have its turn now: not here, where it is not yet cancelled.
      ring(bell);
    }
    this.#unsettled--;
    this.#closeWhenDone();
    return true;
  }

  /** Blocks until a task that waits behind another one in a process is returned or begun, which takes some microseconds. */
  #awaitReturn(slot: number): boolean {
    this.#tellWorkers({ type: "recall", slot: slot });
    return Atomics.wait(this.#queue.slots, slot, TaskState.PREFETCHED, this.#kind.recallMs ?? RECALL_MS) !==
      "timed-out";
  }

  collect(until = Infinity): boolean {
    this.#collectedAt = Atomics.load(bell, SEQUENCE);
    // Tasks may be published below.
    if (this.#waiting.length > this.#published) ensureStack();
    this.#mend();
    for (let n = this.#workers.length; n > 0; n--) {
      // Begins where it was interrupted, so that no worker's results wait for ever behind another's.
      this.#nextToCollect %= this.#workers.length;
      if (this.#collectFrom(this.#workers[this.#nextToCollect++], until)) return true;
      if (this.#workers.length === 0) break;
    }
    this.#publishWaiting();
    this.#closeWhenDone();
    if (this.#keepsProgramAlive && this.#unsettled === 0) this.#stopWorkersWhenIdle();
    return false;
  }

  #collectFrom({ results, port }: RunningWorker, until: number): boolean {
    // Settling can stop the workers, when one reports that it cannot work.
    for (let n = 1; this.#workers.length > 0; n++) {
      const record = results.peek();
      if (record === undefined) break;
      let { type } = record;
      let payload: Encoded;
      try {
        payload = Encoded.read(record.encoding, results.memory, record.offset, record.byteLength);
      } catch (error) {
        ({ type, payload } = unreadable(type, error));
      }
      results.drop();
      this.#onRecord(record.slot, type, record.detail, payload);
      if ((n & 31) === 0 && performance.now() >= until) return true;
    }
    while (this.#workers.length > 0 && results.hasPosted()) {
      const { slot, type, detail, payload: posted } = receive(port);
      results.countReceived();
      let read: { type: number; payload: Encoded };
      try {
        read = { type, payload: fromPosted(posted) };
      } catch (error) {
        read = unreadable(type, error);
      }
      this.#onRecord(slot, read.type, detail, read.payload);
      if (performance.now() >= until) return true;
    }
    return false;
  }

  #onRecord(slot: number, type: number, detail: number, payload: Encoded): void {
    const future = this.#futures[slot];
    switch (type) {
      case RecordType.VALUE:
      case RecordType.ERROR:
      case RecordType.LOST:
        this.#settle(slot, type, detail, payload);
        return;
      case RecordType.CANCELLED:
        this.#freeSlot(slot);
        return;
      case RecordType.PROGRESS:
        if (future !== undefined) this.#kind.onEvent?.(future, { progress: readable(payload) });
        return;
      case RecordType.ABORT_ACKNOWLEDGED:
        this.#unpin(slot);
        return;
      default:
        this.#onReport(type, readable(payload));
    }
  }

  #settle(slot: number, type: number, detail: number, payload: Encoded): void {
    const future = this.#futures[slot];
    if (this.#kind.detail === "msPerItem") this.#learnMsPerItem(slot, msOf(detail));
    else if (future !== undefined) this.#kind.onEvent?.(future, { attempts: detail });
    this.#freeSlot(slot);
    this.#collected = (this.#collected + 1) | 0;
    if (future === undefined) return;
    let value: unknown;
    try {
      value = decodeValue(payload);
      if (type === RecordType.LOST) value = this.#kind.errorOf!(value);
    } catch (error) {
      value = error;
      type = RecordType.ERROR;
    }
    internals.settle(future, type === RecordType.VALUE, value);
    this.#unsettled--;
  }

  #learnMsPerItem(slot: number, ms: number): void {
    const fn = ms === 0 ? undefined : this.#timed.get(slot);
    if (fn === undefined) return;
    // What it took of late counts more: the first calls of a function are slow.
    this.#msPerItem.set(fn, (ms + (this.#msPerItem.get(fn) ?? ms)) / 2);
  }

  /** How many milliseconds an item of a function takes, if it was mapped before. */
  msPerItem(fn: AnyFunction): number | undefined {
    const number = this.#functions.get(fn);
    return number === undefined ? undefined : this.#msPerItem.get(number);
  }

  #freeSlot(slot: number): void {
    this.#futures[slot] = undefined;
    if (this.#pinned.has(slot)) return;
    if (this.#timed.size > 0) this.#timed.delete(slot);
    Atomics.store(this.#queue.slots, slot, TaskState.FREE);
    this.#shared.leave(slot);
    this.#freeSlots.push(slot);
  }

  /** Publishes what had no room or no idle worker, in order. */
  #publishWaiting(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#publishWhatFits();
    const isWaiting = this.#published < waiting.length;
    this.#queue.parking.setWaiting(isWaiting);
    // Again, because a worker may have made room or come to rest before it could see that.
    if (isWaiting) this.#publishWhatFits();
    // Moved up only when half of it is gone, so that each task is moved about once.
    if (this.#published * 2 >= waiting.length) {
      waiting.splice(0, this.#published);
      this.#published = 0;
    }
  }

  #publishWhatFits(): void {
    const waiting = this.#waiting;
    while (this.#published < waiting.length) {
      const task = waiting[this.#published];
      if (task.future.cancelled()) task.payload.discard();
      else {
        try {
          if (!this.#publish(task)) return;
        } catch (error) {
          task.error = error;
          if (task.place !== Place.PUBLISHED) this.#giveBack(task);
        }
      }
      waiting[this.#published++] = undefined as unknown as Handover;
    }
  }

  // The end

  /** Makes the pool unusable: every unfinished future fails with an error of its own. */
  break(message: string, cause: unknown): void {
    const text = `${message}: ${cause instanceof Error ? cause.message : inspect(cause)}`;
    this.#break(() => this.#kind.brokenError(text, cause));
  }

  #break(makeError: () => Error): void {
    if (this.#state.name === "BROKEN" || this.#state.name === "CLOSED") return;
    this.#state = { name: "BROKEN", makeError };
    const waiting = this.#waiting.slice(this.#published);
    for (const { payload } of waiting) payload.discard();
    for (let task = this.#interrupted; task !== undefined; task = task.before) waiting.push(task);
    this.#interrupted = undefined;
    const unfinished = [
      ...this.#futures.filter((future) => future !== undefined),
      ...waiting.map(({ future }) => future).filter((future) => !future.cancelled()),
    ];
    this.#futures.fill(undefined);
    this.#waiting.length = this.#published = this.#unsettled = 0;
    this.#stopWorkers("SIGTERM");
    for (const future of unfinished) internals.settle(future, false, makeError());
  }

  /** What a consumer says of itself. */
  #onReport(type: number, value: unknown): void {
    if (type === RecordType.GONE) this.#terminateWorkers();
    else if (type === RecordType.INITIALIZER_FAILED) this.break("Worker could not be initialized", value);
    else if (this.#kind.errorOf !== undefined) this.#break(() => this.#kind.errorOf!(value));
    else this.break("Worker cannot answer", "a task has changed what that takes");
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
      const published = this.#futures.filter((future) => future !== undefined);
      const waiting = this.#waiting.slice(this.#published).map(({ future }) => future);
      // All before the first callback: one that blocks would let the workers take the next ones.
      deliver = internals.cancelAll([...published, ...waiting]);
    }
    this.#closeWhenDone();
    return deliver;
  }

  /** Ends what runs a task, such as its process. */
  abort(future: Future<unknown>): void {
    const slot = this.#futures.indexOf(future);
    if (slot === -1) return;
    // Not another task's until the broker has answered, which would be meant then.
    this.#pinned.add(slot);
    this.#tellWorkers({ type: "abort", slot });
  }

  #unpin(slot: number): void {
    if (this.#pinned.delete(slot) && this.#futures[slot] === undefined) this.#freeSlot(slot);
  }

  /** As {@linkcode shutdown}, cancelling, and sends a signal to the processes of a broker. */
  kill(signal: Deno.Signal): void {
    const deliver = this.#shutDown(true);
    this.#tellWorkers({ type: "kill", signal });
    // Last: a callback may wait for a task that is killed.
    deliver();
  }

  /** Resolves when every worker is gone. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Blocks until every worker is gone. */
  blockUntilClosed(): void {
    blockUntil(() => this.#hasEnded, Infinity);
  }

  #closeWhenDone(): void {
    if (this.#state.name !== "CLOSING" || this.#unsettled > 0) return;
    // Those that wait have all been cancelled.
    for (const { payload } of this.#waiting.splice(this.#published)) payload.discard();
    this.#state = { name: "CLOSED" };
    this.#stopWorkers();
  }

  #stopWorkersWhenIdle(): void {
    if (this.#workers.length === 0) return;
    this.#keepsProgramAlive = false;
    setTimeout(() => {
      // Idle for that long, they all sleep.
      if (this.#unsettled === 0) {
        this.#terminateWorkers();
        this.#queue.parking.forgetConsumers();
      } else this.#keepsProgramAlive = true;
    }, IDLE_MS);
  }

  /** Ends the workers; a broker ends by itself, after its processes. */
  #stopWorkers(signal?: Deno.Signal): void {
    if (this.#kind.stop === "terminate" || this.#workers.length === 0) {
      this.#terminateWorkers();
    } else if (!this.#isStopping) {
      this.#isStopping = true;
      hold();
      this.#tellWorkers({ type: "stop", signal });
    }
  }

  #terminateWorkers(): void {
    removeSource(this);
    removeEventListener("unload", this.#onUnload);
    for (const { worker, port } of this.#workers.splice(0)) {
      worker.terminate();
      port.close();
    }
    if (this.#isStopping) release();
    this.#isStopping = false;
    this.#hasEnded = this.#state.name === "CLOSED" || this.#state.name === "BROKEN";
    if (this.#hasEnded) this.#closed.resolve();
  }

  /** The program ends: a broker ends its processes first, so that all they have printed is written. */
  readonly #onUnload = (): void => {
    const progress = new Int32Array(new SharedArrayBuffer(8));
    this.#tellWorkers({ type: "stop", progress });
    // The second word says that somebody reads slowly what they have printed.
    do Atomics.wait(progress, 0, 0, UNLOAD_MS); while (progress[0] === 0 && Atomics.load(progress, 1) === 1);
  };

  /** The pool's state in some lines, for the report on a hang. */
  describe(): string {
    return `${this.#kind.name} ${this.#state.name}: unsettled=${this.#unsettled} waiting=${
      this.#waiting.length - this.#published
    } collected=${this.#collected} workers=${this.#workers.length}\n${this.#queue.describe()}`;
  }

  /** A block in the form of a message that can be posted to each worker. */
  postable(args: readonly unknown[]): PostedPayload {
    const payload = encodeArguments(args, this.#encodeOptions);
    payload.takeMoved("args");
    return toPosted(payload).posted;
  }
}

/** Why a task could not be handed over. */
function notSent(error: unknown): unknown {
  if (error instanceof SerializationError) return error;
  const reason = error instanceof Error ? error.message : error;
  return new SerializationError(`Cannot send args to a worker: ${reason}`, "args", { cause: error });
}

/** In place of a result that cannot be read: why. */
function unreadable(type: number, error: unknown): { type: number; payload: Encoded } {
  const reason = error instanceof Error ? error.message : error;
  const refusal = new SerializationError(`Cannot read result, which a worker has sent: ${reason}`, "result", {
    cause: error,
  });
  const payload = encodeValue(refusal, { root: "error", sameProcess: true });
  return { type: type === RecordType.VALUE || type === RecordType.LOST ? RecordType.ERROR : type, payload };
}

/** What a block says, or why it cannot be read: a worker whose task has changed it may send anything. */
function readable(payload: Encoded): unknown {
  try {
    return decodeValue(payload);
  } catch (error) {
    return error;
  }
}

/** Whether the program is ending: nothing that is submitted from then on would be run. */
let hasProgramEnded = false;

/** Notes the end of the program, before any listener of the program's own. */
function noteEndOfProgram(): void {
  hasProgramEnded = true;
}

function refuseWhileImporting(action: string): void {
  const module = importingModule();
  if (module === undefined) return;
  throw new InvalidStateError(
    `Cannot ${action} while a worker imports the task's module: guard the program with if (import.meta.main) in ${module}`,
  );
}

type Receive = (port: MessagePort) => { message: PostedResult } | undefined;
let receiveMessageOnPort: Receive | undefined;

/** Takes a posted result synchronously: a blocked thread hears no events. */
function receive(port: MessagePort): PostedResult {
  // Loaded when it is needed first: Node's module costs milliseconds, and most programs never need it.
  receiveMessageOnPort ??= (globalThis as unknown as {
    process: { getBuiltinModule(name: string): { receiveMessageOnPort: Receive } };
  }).process.getBuiltinModule("node:worker_threads").receiveMessageOnPort;
  const received = receiveMessageOnPort(port);
  if (received === undefined) throw new Error("unreachable: a result was counted before it was posted");
  return received.message;
}

/**
 * Lets the program end although the worker lives. Deno has this for Node's workers, and not yet under a documented name for
 * Web Workers: a method of theirs under an unnamed symbol. Elsewhere idle workers are stopped after a while.
 *
 * @returns Whether it can be done.
 */
function unref(worker: Worker): boolean {
  for (let object = Object.getPrototypeOf(worker); object !== null; object = Object.getPrototypeOf(object)) {
    for (const symbol of Object.getOwnPropertySymbols(object)) {
      const method = symbol.description === undefined ? object[symbol] : undefined;
      if (typeof method !== "function" || method.length !== 1) continue;
      method.call(worker, false);
      return true;
    }
  }
  return false;
}
