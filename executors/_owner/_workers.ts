/**
 * The workers of a pool: how they are started, told of something, and stopped.
 *
 * @module
 */

import { sharedNow, timers } from "../../futures/builtins.ts";
import { ring } from "../../futures/bell.ts";
import { ensureStack, LOADING } from "../../futures/stack.ts";
import { addSource, bell, removeSource, type Source } from "../../futures/wakeup.ts";
import { createLife, endLife, HolderState, type Life } from "../_queue/holders.ts";
import {
  type ConsumerMessage,
  type ConsumerStart,
  type Initializer,
  MAX_SERIAL,
  type PoolMemory,
  Status,
} from "../_queue/protocol.ts";
import { ResultRing } from "../_queue/ring.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import { IdleEnd } from "./_idle_end.ts";
import type { PoolKind } from "./kind.ts";

/** How long the end of the program waits for a broker, in milliseconds. */
const UNLOAD_MS = 3_000;

/** How long idle workers stay where they would keep the program alive, in milliseconds. */
const IDLE_MS = 100;

/** A worker, and where its results come from. */
export interface RunningWorker {
  /** Which of the workers it is that are there at once. */
  readonly index: number;
  /** Which of all that were ever started. */
  readonly serial: number;
  readonly worker: Worker;
  readonly results: ResultRing;
  readonly port: MessagePort;
  readonly life: Life;
}

/** What a pool's workers know from the start. */
export type Known = Pick<ConsumerStart, "definitions" | "shared" | "bound"> & {
  readonly initializer: Initializer | undefined;
};

/** What a pool does for its workers. */
export interface WorkersOwner extends Source {
  /**
   * What a new worker has to know.
   *
   * @throws What makes the initializer impossible to send.
   */
  known(): Known;
  /** Ends a worker alone that has been asleep for so many milliseconds; `false` when none has. */
  endIdleWorker(ms: number): boolean;
  /** Hears that a worker could not be started. */
  onStartFailure(error: unknown): void;
  /** Hears that a worker has failed, and does nothing any more. */
  onWorkerFailure(error: unknown): void;
}

/** The workers of one pool. */
export class Workers {
  readonly #kind: PoolKind;
  readonly #memory: PoolMemory;
  readonly #queue: TaskQueue;
  readonly #owner: WorkersOwner;
  /** Those that are there, in the order in which they were started. */
  readonly #running: RunningWorker[] = [];
  /** Indices of workers that have left, each alone; the next ones take them. */
  readonly #freeIndices: number[] = [];
  #nextSerial = 0;
  /** The thread of the first worker, which starts ahead of it. */
  #prepared: { readonly index: number; readonly worker: Worker } | undefined;
  /** Whether a worker keeps the program alive. */
  #keepsProgramAlive = false;
  /** Ends those that are idle for long, where they shall not stay. */
  readonly #idleEnd: IdleEnd | undefined;
  /** Runs while workers that do are idle. */
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(kind: PoolKind, memory: PoolMemory, queue: TaskQueue, owner: WorkersOwner) {
    this.#kind = kind;
    this.#memory = memory;
    this.#queue = queue;
    this.#owner = owner;
    const { idleTimeout: timeout } = kind;
    this.#idleEnd = timeout === undefined ? undefined : new IdleEnd({
      timeout,
      endIdle: (ms) => owner.endIdleWorker(ms),
      longest: () => this.longestIdle,
      hasWorkers: () => this.#running.length > 0,
    });
  }

  /** How many there are. */
  get count(): number {
    return this.#running.length;
  }

  /** How many of them are starting, and run no task. */
  get starting(): number {
    const { parking } = this.#queue;
    return this.#running.filter(({ index }) => parking.is(index, Status.STARTING)).length;
  }

  /** How many indices are in use, or were. */
  get indices(): number {
    return this.#running.length + this.#freeIndices.length;
  }

  /** Whether there can be more. */
  get canGrow(): boolean {
    return this.#running.length < this.#kind.maxConsumers;
  }

  /** Whether idle workers must be stopped so that the program can end. */
  get keepProgramAlive(): boolean {
    return this.#keepsProgramAlive && this.#running.length > 0;
  }

  /** The worker at a place from 0 to {@linkcode count}. */
  at(place: number): RunningWorker {
    return this.#running[place];
  }

  /**
   * Lets the first worker start, which {@linkcode start} will want, while this thread does something else: both take
   * some 20 ms. Where that fails, {@linkcode start} tells.
   */
  prepare(): void {
    if (this.#running.length > 0 || this.#prepared !== undefined) return;
    ensureStack(LOADING);
    try {
      if (this.#kind.startsAhead === true) this.#startAhead();
      else this.#prepareThread();
    } catch {
      // Told when a task needs it.
    }
  }

  /** In full: it gets to work, and is idle where no task comes. */
  #startAhead(): void {
    this.#start();
    // Nobody else may have the pool look whether it is idle for long.
    if (this.#keepsProgramAlive) ring(bell);
  }

  /** Only its thread, which gets its first message when there is a task. */
  #prepareThread(): void {
    const index = this.#freeIndices.at(-1) ?? 0;
    const worker = this.#kind.startWorker(index);
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      if (this.#prepared?.worker === worker) this.#prepared = undefined;
    });
    if (unref(worker)) this.#prepared = { index, worker };
    else worker.terminate();
  }

  /** The thread of a worker: the one that was prepared, or a new one. */
  #startThread(index: number): Worker {
    const prepared = this.#prepared;
    if (prepared?.index !== index) return this.#kind.startWorker(index);
    this.#prepared = undefined;
    return prepared.worker;
  }

  /** Starts one more. */
  start(): void {
    try {
      this.#start();
    } catch (error) {
      this.#owner.onStartFailure(error);
    }
  }

  #start(): void {
    const index = this.#freeIndices.pop() ?? this.#running.length;
    const serial = this.#nextSerial;
    this.#nextSerial = (serial + 1) & MAX_SERIAL;
    const results = ResultRing.create();
    const { port1, port2 } = new MessageChannel();
    let worker: Worker | undefined;
    const life = createLife();
    try {
      const start: ConsumerStart & Known = {
        memory: this.#memory,
        index,
        serial,
        results,
        port: port2,
        bell,
        life,
        ...this.#owner.known(),
        ...this.#kind.startOptions?.(),
      };
      this.#queue.parking.enter(index);
      worker = this.#startThread(index);
      worker.postMessage(start, [port2]);
    } catch (error) {
      worker?.terminate();
      port1.close();
      port2.close();
      throw error;
    }
    const running = { index, serial, worker, results: new ResultRing(results), port: port1, life };
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      // Nobody listens to one any more that has left.
      if (!this.#running.includes(running)) return;
      this.#owner.onWorkerFailure(event.error ?? new Error(event.message));
    });
    this.#keepsProgramAlive = !unref(worker);
    if (this.#running.length === 0) addSource(this.#owner);
    if (this.#kind.stop === "ask") addEventListener("unload", this.#onUnload);
    this.#running.push(running);
    this.#idleEnd?.begin();
  }

  /** Posts a message to each. */
  tell(message: ConsumerMessage): void {
    for (const { worker } of this.#running) worker.postMessage(message);
  }

  /** Reserves a worker for a task, which must be posted to it; `undefined` when none is idle, or may just start. */
  assign(mayStart: boolean): Worker | undefined {
    return this.#running.find(({ index }) => this.#queue.parking.assign(index, mayStart))?.worker;
  }

  /**
   * Takes a worker out that sleeps, the last one that was started: it takes no task any more, and {@linkcode end} must
   * follow when its results are collected.
   *
   * @param ms For how long it must have been asleep, in milliseconds.
   * @returns `undefined` when none sleeps.
   */
  takeOutIdle(ms = 0): RunningWorker | undefined {
    const { parking } = this.#queue;
    const before = sharedNow() - ms;
    return this.#running.findLast(({ index }) => {
      const since = parking.sleepingSince(index);
      return since !== undefined && since <= before && parking.leave(index);
    });
  }

  /** How long the worker has been asleep that sleeps for the longest time, in milliseconds; 0 when none sleeps. */
  get longestIdle(): number {
    const now = sharedNow();
    let longest = 0;
    for (const { index } of this.#running) {
      longest = Math.max(longest, now - (this.#queue.parking.sleepingSince(index) ?? now));
    }
    return longest;
  }

  /** The worker of a serial number. */
  find(serial: number): RunningWorker | undefined {
    return this.#running.find((running) => running.serial === serial);
  }

  /**
   * Ends a worker alone, which has been taken out, or whose task has been abandoned: another one may take its place at
   * once, even while this one's thread is ending.
   *
   * @param state What it is as the holder of locks.
   */
  end(running: RunningWorker, state: number): void {
    const place = this.#running.indexOf(running);
    if (place === -1) return;
    const { index, results } = running;
    results.close();
    this.#queue.parking.giveUp(index);
    this.#running.splice(place, 1);
    this.#freeIndices.push(index);
    terminate(running, state);
    if (this.#running.length > 0) return;
    removeSource(this.#owner);
    this.#idleEnd?.stop();
  }

  /** Ends all at once, of which none runs a task, or each may. */
  terminate(state: number): void {
    removeSource(this.#owner);
    this.#idleEnd?.stop();
    removeEventListener("unload", this.#onUnload);
    this.#freeIndices.length = 0;
    this.#prepared?.worker.terminate();
    this.#prepared = undefined;
    for (const running of this.#running.splice(0)) terminate(running, state);
  }

  /** Ends all after a while, if they are idle then. */
  stopLater(areIdle: () => boolean): void {
    this.#idleTimer ??= timers.setTimeout(() => {
      this.#idleTimer = undefined;
      if (!areIdle()) return;
      // Idle for that long, they all sleep.
      this.terminate(HolderState.ENDED);
      this.#queue.parking.forgetConsumers();
    }, IDLE_MS);
  }

  /** The program ends: a broker ends its processes first, so that all they have printed is written. */
  readonly #onUnload = (): void => {
    const progress = new Int32Array(new SharedArrayBuffer(8));
    this.tell({ type: "stop", progress });
    // The second word says that somebody reads slowly what they have printed.
    do Atomics.wait(progress, 0, 0, UNLOAD_MS); while (progress[0] === 0 && Atomics.load(progress, 1) === 1);
  };
}

function terminate({ worker, port, life }: RunningWorker, state: number): void {
  worker.terminate();
  endLife(life, state);
  port.close();
}

/**
 * Lets the program end although the worker lives. Deno has this for Node's workers, and not yet under a documented name
 * for Web Workers: a method of theirs under an unnamed symbol. Elsewhere idle workers are stopped after a while.
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
