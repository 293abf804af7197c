/**
 * The half of a pool that runs in another thread: takes tasks out of shared memory by itself and publishes results.
 * What it does with a task is not its business: a thread runs it, a broker gives it to somebody else.
 *
 * @module
 */

import { ring } from "../../futures/bell.ts";
import { Atomics, JSON, Math, performance, Promise, withResolvers } from "../../futures/builtins.ts";
import { EMPTY, Encoded, EncodedSections, Encoding, immovable, wholeBuffer } from "../_values/encoded.ts";
import type { Definition } from "../_functions/definition.ts";
import {
  MAX_INLINE_BYTES,
  NO_SLOT,
  type PoolMemory,
  type Record,
  ResultRing,
  Status,
  TaskQueue,
  TaskState,
} from "./task_queue.ts";
import { Memory } from "../_values/memory.ts";

/** Bits of a record that say what it is for. */
export const Flag = {
  /** The arguments are a list of argument lists, the result a {@linkcode ChunkOutcome}. */
  CHUNK: 1,
  /** The result is what the task threw. */
  ERROR: 2,
  /** The arguments are in shared memory of their own; the payload says which, how large and how encoded. */
  SHARED: 4,
  /** No result: the task was found cancelled, and its slot is free again. */
  CANCELLED: 8,
  /** The result is how the process died that ran the task, or any process, as a report of the broker's. */
  DIED: 16,
  /** Not about a task: the broker has ended all its processes. */
  GONE: 32,
  /** With CHUNK: the arguments are a list of lone arguments. */
  COLUMN: 64,
  /** In a result: not the task's, but something to tell of it while it runs. It shares its bit with that. */
  TOLD: 64,
  /** The owner wants to know how long it takes: see {@linkcode flagsOfPace}. */
  TIMED: 128,
  /** In a result: not the task's, but the answer to an `abort`. It shares its bit with that. */
  ANSWERED: 128,
} as const;

/** The bits of a result's flags that tell how long an item took. */
export const PACE_BITS = 0x7fff_ff00;
const PACE_SHIFT = 8;
const PACES_PER_MS = 8_000;

/** The bits that tell how many milliseconds an item took; in steps of an eighth of a microsecond, up to a second. */
export function flagsOfPace(ms: number): number {
  return Math.min(PACE_BITS >> PACE_SHIFT, Math.ceil(ms * PACES_PER_MS)) << PACE_SHIFT;
}

/** The same bits as a count. */
export function flagsOfCount(count: number): number {
  return Math.min(PACE_BITS >> PACE_SHIFT, count) << PACE_SHIFT;
}

export function countOf(flags: number): number {
  return (flags & PACE_BITS) >> PACE_SHIFT;
}

/** How many milliseconds an item took; 0 where a result does not tell. */
export function paceOf(flags: number): number {
  return ((flags & PACE_BITS) >> PACE_SHIFT) / PACES_PER_MS;
}

/** The first message to a consumer. */
export interface ConsumerStart {
  memory: PoolMemory;
  /** Which consumer it is. */
  index: number;
  results: SharedArrayBuffer;
  /** For results that do not fit into shared memory. */
  port: MessagePort;
  bell: Int32Array;
  /** All functions so far; a function's number is its index. */
  definitions: Definition[];
  /** All shared memory that tasks refer to by now. */
  shared: Map<number, SharedArrayBuffer>;
}

/** What to call in a worker before its first task. */
export interface Initializer {
  fn: number;
  payload: PostedPayload;
}

/** A later message to a consumer. */
export type ConsumerMessage =
  | { type: "define"; fn: number; definition: Definition }
  | { type: "share"; id: number; memory: SharedArrayBuffer }
  | { type: "unshare"; id: number }
  | {
    type: "assign";
    slot: number;
    fn: number;
    flags: number;
    payload: PostedPayload;
  }
  /** To a broker: ends its processes, by a signal where one is given, and then itself. */
  | { type: "stop"; signal?: Deno.Signal; progress?: Int32Array }
  /** To a broker: sends all its processes a signal, and starts no more. */
  | { type: "kill"; signal: Deno.Signal }
  /** To a broker: takes back what was given and has not begun, since the task of this slot is to be cancelled. */
  | { type: "recall"; slot: number }
  /** To a broker: ends whatever runs the task of this slot, and says so. */
  | { type: "abort"; slot: number };

/** A block as a message carries it. */
export interface PostedPayload {
  encoding: number;
  text: string;
  /** Whether the text is the first of the buffers, as UTF-8. */
  isEncoded?: boolean;
  number: number;
  buffers: ArrayBuffer[];
  shared: SharedArrayBuffer[];
  clone?: { value: unknown; list: Transferable[] };
}

/** A result that was posted. */
export interface PostedResult {
  slot: number;
  flags: number;
  payload: PostedPayload;
}

/** A block in the form of a message, and what is to be transferred with it. */
export function toPosted(payload: Encoded | EncodedSections): { posted: PostedPayload; list: Transferable[] } {
  if (payload instanceof Encoded) return postedOf(payload);
  const buffers = payload.sections.map(wholeBuffer);
  const { encoding } = payload;
  if (encoding === Encoding.NUMBER) return postedOf(payload.decoded());
  return { posted: { encoding, text: "", isEncoded: true, number: 0, buffers, shared: [] }, list: buffers };
}

function postedOf(payload: Encoded): { posted: PostedPayload; list: Transferable[] } {
  const { encoding, text, number, buffers, shared, clone } = payload;
  return {
    posted: { encoding, text, number, buffers, shared, clone },
    list: [...buffers, ...(clone?.list ?? [])],
  };
}

/** The block of a message. */
export function fromPosted({ encoding, text, isEncoded, number, buffers, shared, clone }: PostedPayload): Encoded {
  if (isEncoded) return encodedOf({ encoding, buffers }).decoded();
  return new Encoded(encoding, text, number, buffers, shared, clone);
}

function encodedOf({ encoding, buffers }: Pick<PostedPayload, "encoding" | "buffers">): EncodedSections {
  return new EncodedSections(encoding, buffers.map((buffer) => new Uint8Array(buffer)));
}

/** A task that was taken; what it carries is decoded, or stays bytes for who passes it on. */
export interface Task<B extends Encoded | EncodedSections = Encoded> {
  readonly slot: number;
  readonly fn: number;
  readonly flags: number;
  readonly payload: B;
}

/** How a consumer wants what tasks carry. */
interface Form<B> {
  read(encoding: number, memory: Memory, offset: number, byteLength: number): B;
  fromPosted(posted: PostedPayload): B;
}

/** For who runs tasks. */
export const DECODED: Form<Encoded> = { read: Encoded.read, fromPosted };

/** For who passes tasks on. */
export const ENCODED: Form<EncodedSections> = {
  read: EncodedSections.read,
  fromPosted: (posted) => posted.isEncoded ? encodedOf(posted) : EncodedSections.from(fromPosted(posted)),
};

/** How long an idle consumer looks for work before it sleeps, in milliseconds: as long as waking it would take. */
const SPIN_MS = 0.05;

/** How many consumers may look for work at once: leave a core to the one who makes it. */
const MAX_SPINNING = navigator.hardwareConcurrency >> 1;

/** As `promise.then(resolve)`, whatever a task has made of that method. */
async function resolveWith<T>(resolve: (value: T) => void, promise: Promise<T>): Promise<void> {
  resolve(await promise);
}

/** A pool's consumer of tasks. */
export class Consumer<B extends Encoded | EncodedSections = Encoded> {
  readonly #form: Form<B>;
  readonly #queue: TaskQueue;
  readonly #results: ResultRing;
  readonly #index: number;
  readonly #port: MessagePort;
  readonly #bell: Int32Array;
  readonly #definitions: Definition[];
  readonly #shared: Map<number, SharedArrayBuffer>;
  #assigned: Task<B> | undefined;
  #nextMessage: PromiseWithResolvers<void> | undefined;
  #hasRested = false;
  /** Whether its status may be AWAY. */
  #isAway = false;
  /** Ends a sleep. */
  #wake: ((value: unknown) => void) | undefined;

  constructor(start: ConsumerStart, form: Form<B>) {
    this.#form = form;
    this.#queue = new TaskQueue(start.memory);
    this.#results = new ResultRing(start.results);
    this.#index = start.index;
    this.#port = start.port;
    this.#bell = start.bell;
    this.#definitions = start.definitions;
    this.#shared = start.shared;
  }

  /** Takes in a message of the owner's. Must be called for each, in order. */
  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "define":
        this.#definitions[message.fn] = message.definition;
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
          Atomics.notify(this.#queue.statuses, this.#index);
        }
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

  /**
   * Takes the oldest task.
   *
   * @returns `undefined` when there is none: then {@linkcode waitForWork}. A promise when the arguments are still on their way.
   */
  take(): Task<B> | Promise<Task<B>> | undefined {
    // Here and nowhere else: a promise of this library's may be followed by other callbacks before its waiter goes on.
    if (this.#isAway) this.#comeBack();
    else Atomics.compareExchange(this.#queue.statuses, this.#index, Status.FINISHED, Status.ACTIVE);
    const assigned = this.#assigned;
    // One that was assigned and has not arrived comes before what is queued.
    if (assigned === undefined && Atomics.load(this.#queue.statuses, this.#index) === Status.ASSIGNED) return undefined;
    const record = assigned === undefined ? this.#queue.claim() : undefined;
    if (assigned === undefined && record === undefined) return undefined;
    if (this.#hasRested) {
      // Who published while this consumer was looking for work woke nobody else.
      this.#hasRested = false;
      if (!this.#queue.isEmpty()) this.#queue.wake();
    }
    if (record === undefined) {
      this.#assigned = undefined;
      // Taken while it rests, for who took a task meanwhile: it waits for no other one.
      Atomics.store(this.#queue.statuses, this.#index, Status.ACTIVE);
      return assigned;
    }
    const { slot, fn, encoding, flags, offset, byteLength } = record;
    const { memory } = this.#queue;
    if ((flags & Flag.SHARED) !== 0) {
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
  #goAway(from: number): number {
    this.#isAway = true;
    return Atomics.compareExchange(this.#queue.statuses, this.#index, from, Status.AWAY);
  }

  /** From now on it is counted on. */
  #comeBack(): void {
    this.#isAway = false;
    for (const from of [Status.AWAY, Status.WOKEN]) {
      if (Atomics.compareExchange(this.#queue.statuses, this.#index, from, Status.ACTIVE) === from) return;
    }
  }

  async #takeShared({ slot, fn, flags }: Record, { text, sharedIds }: Encoded): Promise<Task<B>> {
    const [byteLength, encoding] = JSON.parse(text);
    const [id, ...rest] = sharedIds;
    const payload = this.#form.read(encoding, new Memory(await this.#memory(id)), 0, byteLength);
    return this.#share({ slot, fn, flags: flags & ~Flag.SHARED, payload }, rest);
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
    if (this.#isAway) this.#comeBack();
    const isAssigned = Atomics.load(this.#queue.statuses, this.#index) === Status.ASSIGNED;
    return !isAssigned && mayLook && this.#spin() ? undefined : this.#sleep(isAssigned);
  }

  async #sleep(isAssigned: boolean): Promise<void> {
    const { statuses } = this.#queue;
    const index = this.#index;
    if (!isAssigned && this.#queue.park(index, Status.ACTIVE)) {
      this.#tellWaitingOwner();
      // Looked at once more after going to sleep: who published before that saw nobody to wake.
      if (!this.#queue.isEmpty()) this.#queue.unpark(index, Status.WOKEN);
      else {
        const wait = Atomics.waitAsync(statuses, index, Status.PARKED);
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
    }
    if (Atomics.load(statuses, index) === Status.ASSIGNED) await this.#takeAssigned();
  }

  /** Looks for a task without sleeping; `true` when there may be one. */
  #spin(): boolean {
    const { statuses } = this.#queue;
    const index = this.#index;
    if (!this.#queue.startSpinning(MAX_SPINNING)) return false;
    Atomics.store(statuses, index, Status.SPINNING);
    this.#tellWaitingOwner();
    const until = performance.now() + SPIN_MS;
    let found = false;
    do {
      for (let i = 0; i < 16 && !found; i++) {
        found = !this.#queue.isEmpty() || Atomics.load(statuses, index) !== Status.SPINNING;
      }
    } while (!found && performance.now() < until);
    this.#queue.stopSpinning();
    // If this fails, the owner has assigned a task.
    const free = Atomics.compareExchange(statuses, index, Status.SPINNING, Status.ACTIVE) === Status.SPINNING;
    return found && free;
  }

  #tellWaitingOwner(): void {
    if (this.#queue.isOwnerWaiting()) ring(this.#bell);
  }

  /** Is away while the event loop has its turn, which may take long: nobody counts on this consumer. */
  async yieldToEventLoop(turn: () => Promise<void>): Promise<void> {
    // If both fail, it is away already, or has been assigned a task.
    this.#goAway(Status.ACTIVE);
    this.#goAway(Status.FINISHED);
    if (!this.#queue.isEmpty()) this.#queue.wake();
    await turn();
    await this.begin();
  }

  /** Begins to work: a task may have been assigned while the thread was starting. */
  async begin(): Promise<void> {
    if (this.#goAway(Status.STARTING) === Status.ASSIGNED) await this.#takeAssigned();
  }

  async #takeAssigned(): Promise<void> {
    const { statuses } = this.#queue;
    while (Atomics.load(statuses, this.#index) === Status.ASSIGNED && this.#assigned === undefined) {
      await this.#message();
    }
    this.#goAway(Status.ASSIGNED);
  }

  /**
   * Marks a task as running, or as given to a process.
   *
   * @returns `false` when it was cancelled: it must not run, and needs no reply.
   */
  start({ slot }: Task<B>, as: number = TaskState.RUNNING): boolean {
    if (this.#isAway) this.#comeBack();
    if (Atomics.compareExchange(this.#queue.slots, slot, TaskState.PENDING, as) === TaskState.PENDING) return true;
    this.#publish(slot, Flag.CANCELLED, EMPTY);
    // Nobody waits for this task any more, but perhaps for its place.
    this.#tellWaitingOwner();
    return false;
  }

  /** Marks a task that was given to a process as running there, or as pending again because it was returned. */
  setState({ slot }: Task<B>, as: number): void {
    Atomics.store(this.#queue.slots, slot, as);
    // The owner may be waiting to cancel it.
    Atomics.notify(this.#queue.slots, slot);
  }

  /**
   * Publishes what became of a task that was started.
   *
   * @param rings Whether to tell the owner; who publishes several results does that once.
   * @param next What this consumer is then: FINISHED where the next task follows at once, AWAY where something of the
   * user's may run before.
   * @throws {SerializationError} What the payload moves cannot move: nothing is published, and another reply may be.
   */
  reply(
    { slot }: Task<B>,
    flags: number,
    payload: Encoded | EncodedSections,
    rings = true,
    next: number = Status.ACTIVE,
  ): void {
    // Before the owner is woken, perhaps on the core of this thread: it need not wait until this one has come to rest.
    // And before the task counts as finished: who is ACTIVE and has no task is about to take one.
    if (next === Status.AWAY) this.#goAway(Status.ACTIVE);
    else if (next === Status.FINISHED) {
      Atomics.compareExchange(this.#queue.statuses, this.#index, Status.ACTIVE, Status.FINISHED);
    }
    // Before the result: once the owner has that, the slot may already be another task's.
    Atomics.store(this.#queue.slots, slot, TaskState.DONE);
    this.#queue.countFinished();
    try {
      this.#publish(slot, flags, payload);
    } catch (error) {
      // It is replied again, and counted then.
      this.#queue.countFinished(-1);
      throw error;
    }
    if (rings) ring(this.#bell);
  }

  /** Tells the owner something of a task that runs, if there is room: elsewhere it could come after the task's result. */
  progress({ slot }: Task<B>, payload: Encoded | EncodedSections): void {
    if (payload.room > MAX_INLINE_BYTES || payload.shared.length > 0) return;
    if (this.#results.push(slot, payload.encoding, Flag.TOLD, payload)) ring(this.#bell);
  }

  /** Ends a rest, for who has something to do that did not come from the queue. */
  wakeUp(): void {
    if (this.#queue.unpark(this.#index, Status.WOKEN)) this.#wake?.(undefined);
  }

  /** Says that an `abort` has been obeyed as far as it could. */
  acknowledgeAbort(slot: number): void {
    this.#publish(slot, Flag.ANSWERED, EMPTY);
    ring(this.#bell);
  }

  /** Tells the owner that there are results. */
  ring(): void {
    ring(this.#bell);
  }

  /** Tells the owner something about this consumer itself: that it cannot work, and why, or that it has ended. */
  report(reason: Encoded | EncodedSections, flags: number = Flag.ERROR): void {
    this.#publish(NO_SLOT, flags, reason);
    ring(this.#bell);
  }

  #publish(slot: number, flags: number, payload: Encoded | EncodedSections): void {
    if (payload.room <= MAX_INLINE_BYTES && payload.shared.length === 0) {
      payload.takeMoved("result");
      if (this.#results.push(slot, payload.encoding, flags, payload)) return;
    }
    const { posted, list } = toPosted(payload);
    const result: PostedResult = { slot, flags, payload: posted };
    try {
      this.#port.postMessage(result, list);
    } catch (error) {
      throw immovable("result", error);
    }
    this.#results.countPosted();
  }
}
