/**
 * How a worker runs tasks: what a thread and a child process have in common.
 *
 * @module
 */

import { Atomics, Math, performance, Promise } from "../../futures/builtins.ts";
import { SerializationError } from "../../futures/errors.ts";
import { EMPTY, type Encoded } from "../_values/encoded.ts";
import { decodeArguments, decodeItems, type EncodeOptions, encodeValue } from "../_values/codec.ts";
import { RecordType, stepsOf, TaskFlag } from "../_queue/protocol.ts";
import type { Definition } from "../_functions/definition.ts";
import { encodeError, encodeOutcome } from "../_values/outcome.ts";
import { explain, type Import, isThenable, resolve, type TaskFunction } from "../_functions/resolve.ts";
import { current, type Reply, Run, type RunnerTask, type RunWorker } from "./_run.ts";
import { callFor, leaveRun, loadRuns, runOfNow, watchTasks } from "./_unhandled.ts";

export type { RunnerTask };
export { endProcess, endThread, leaveRun } from "./_unhandled.ts";

/** Where tasks come from and results go. */
export interface TaskPort<T extends RunnerTask = RunnerTask> {
  /** What the worker is called in messages. */
  readonly name: string;
  /** Whether results go to another thread of this process. */
  readonly sameProcess: boolean;
  /** The definition of a task's function. */
  definition(fn: number): Definition | Promise<Definition>;
  /** Imports a task's module, or its text. */
  readonly import: Import;
  /**
   * Takes what became of a task, and whether nothing of it runs any more.
   *
   * @throws {SerializationError} What the payload moves cannot move: nothing was sent, and something else may be.
   */
  reply(task: T, type: number, payload: Encoded, steps: number, isFree: boolean): void;
  /** Takes what a task that runs says of its progress. It may get lost. */
  progress(task: T, payload: Encoded): void;
  /**
   * Ends the worker, which cannot answer any more, because a task has changed or closed what it needs for that. If it
   * stayed, its task would never end.
   */
  abandonWorker(error: unknown): void;
}

/** How long tasks are run one after the other before timers and I/O of this thread get their turn, in milliseconds. */
export const TURN_MS = 10;

const scratch = new Int32Array(new SharedArrayBuffer(4));

/** One turn of the event loop. */
export async function turn(): Promise<void> {
  const wait = Atomics.waitAsync(scratch, 0, 0);
  Atomics.notify(scratch, 0);
  if (wait.async) await wait.value;
}

/** The runner of this thread, for what tasks call by themselves. */
let runner: Runner | undefined;

/** Makes the runner of this thread, and watches what tasks do here from now on. */
export function runFor<T extends RunnerTask>(port: TaskPort<T>): Runner {
  runner = new Runner(port);
  watchTasks(runner);
  return runner;
}

/**
 * Tells the owner how far the calling task has come. A report may get lost, and one of a task that is done is ignored.
 *
 * @throws {SerializationError} The value cannot cross.
 */
export function progress(value: unknown): void {
  runner?.progress(value);
}

/** Runs the tasks of one worker. */
export class Runner implements RunWorker {
  readonly port: TaskPort;
  readonly resultOptions: EncodeOptions;
  readonly #functions = new Map<number, TaskFunction>();
  #hasRun = false;
  /** Whether this worker can answer no more. */
  isAbandoned = false;

  constructor(port: TaskPort) {
    this.port = port;
    this.resultOptions = { root: "result", sameProcess: port.sameProcess };
  }

  get name(): string {
    return this.port.name;
  }

  explain(fn: number, error: unknown): unknown {
    return explain(this.#functions.get(fn), error);
  }

  abandonWorker(error: unknown): void {
    this.isAbandoned = true;
    this.port.abandonWorker(error);
  }

  /** See the function of this name. Nothing moves with it, and no memory is shared by it: it may get lost. */
  progress(value: unknown): void {
    const payload = encodeValue(value, { root: "result", sameProcess: false });
    const run = runOfNow();
    if (run?.task !== undefined && !run.isOver) this.port.progress(run.task, payload);
  }

  /** Begins to load what it takes to tell apart the unhandled errors of tasks, if there were any; called in a pause. */
  prepareForUnhandledErrors(): void {
    if (this.#hasRun) void loadRuns();
  }

  /**
   * Runs the initializer.
   *
   * @returns What it threw, as a payload; `undefined` when it has succeeded.
   */
  async initialize(fn: number, payload: Encoded): Promise<Encoded | undefined> {
    const run = new InitializerRun(this, fn);
    await runWith(run, async () => (await this.#load(fn))(...decodeArguments(payload)));
    return run.failure;
  }

  /** Runs a task and replies; returns a promise when it takes more than this turn. */
  runTask(task: RunnerTask): Promise<void> | undefined {
    this.#hasRun = true;
    const fn = this.#functions.get(task.fn);
    if ((task.flags & TaskFlag.CHUNK) !== 0) return this.#runChunk(task, fn);
    const run = new TaskRun(this, task);
    const call = (fn: TaskFunction) => {
      run.timer?.start();
      return fn(...decodeArguments(task.payload));
    };
    return runWith(run, () => fn === undefined ? this.#loadAndCall(task.fn, call) : call(fn));
  }

  /** Runs a chunk's items one after the other, up to the first that fails. */
  #runChunk(task: RunnerTask, fn: TaskFunction | undefined): Promise<void> | undefined {
    const run = new ChunkRun(this, task);
    const { results, timer } = run;
    const go = (length: number, call: (i: number) => unknown): Promise<void> | undefined => {
      while (results.length < length) {
        const value = call(results.length);
        if (isThenable(value)) return goOn(value, length, call);
        results.push(value);
      }
    };
    const goOn = async (value: unknown, length: number, call: (i: number) => unknown): Promise<void> => {
      results.push(await value);
      while (results.length < length) {
        const next = call(results.length);
        results.push(isThenable(next) ? await next : next);
      }
    };
    const call = (fn: TaskFunction) => {
      timer.start();
      const { length, get } = decodeItems(task.payload);
      const isColumn = (task.flags & TaskFlag.COLUMN) !== 0;
      return go(length, isColumn ? (i) => fn(get(i)) : (i) => fn(...get(i) as unknown[]));
    };
    return runWith(run, () => fn === undefined ? this.#loadAndCall(task.fn, call) : call(fn));
  }

  async #load(fn: number): Promise<TaskFunction> {
    let loaded = this.#functions.get(fn);
    if (loaded === undefined) {
      loaded = await resolve(await this.port.definition(fn), this.port.import);
      leaveRun();
      this.#functions.set(fn, loaded);
    }
    return loaded;
  }

  async #loadAndCall(fn: number, call: (fn: TaskFunction) => unknown): Promise<unknown> {
    return await call(await this.#load(fn));
  }
}

function runWith(run: Run, call: () => unknown): Promise<void> | undefined {
  current.run = run;
  try {
    const value = callFor(run, call);
    if (isThenable(value)) return settleLater(run, value);
    run.end(RecordType.VALUE, value, true);
  } catch (error) {
    run.end(RecordType.ERROR, error, true);
  }
  current.run = undefined;
  return undefined;
}

async function settleLater(run: Run, value: PromiseLike<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    run.onOver = resolve;
    // It may have called Deno.exit() already, before it returned its promise.
    if (run.isOver) resolve();
    void endWith(run, value);
  });
  current.run = undefined;
}

/** Ends a run by what its promise comes to. Not as free: what else the task has left comes before the next task. */
async function endWith(run: Run, promise: PromiseLike<unknown>): Promise<void> {
  let outcome: unknown;
  let type: number = RecordType.VALUE;
  try {
    outcome = await promise;
  } catch (error) {
    outcome = error;
    type = RecordType.ERROR;
  }
  run.end(type, outcome);
}

class InitializerRun extends Run<Runner> {
  readonly task = undefined;
  failure: Encoded | undefined;

  protected override encode(type: number, outcome: unknown): Reply {
    return {
      type,
      payload: type === RecordType.ERROR
        ? encodeError(outcome, this.worker.port.sameProcess, (encode) => this.attempt(encode))
        : EMPTY,
    };
  }

  protected override tell({ type, payload }: Reply): void {
    if (type === RecordType.ERROR) this.failure = payload;
  }
}

/** Measures how long the items of a task take, without what it takes to load their function. */
class Timer {
  #begun: number | undefined;

  start(): void {
    this.#begun = performance.now();
  }

  stepsFor(items: number): number {
    return this.#begun === undefined ? 0 : stepsOf((performance.now() - this.#begun) / Math.max(1, items));
  }
}

function timerFor({ flags }: RunnerTask): Timer | undefined {
  return (flags & TaskFlag.TIMED) === 0 ? undefined : new Timer();
}

class TaskRun extends Run<Runner> {
  readonly task: RunnerTask;
  readonly timer: Timer | undefined;

  constructor(runner: Runner, task: RunnerTask) {
    super(runner, task.fn);
    this.task = task;
    this.timer = timerFor(task);
  }

  protected override encode(type: number, outcome: unknown): Reply {
    if (type === RecordType.VALUE) {
      try {
        return { type, payload: this.attempt(() => encodeValue(outcome, this.worker.resultOptions)) };
      } catch (error) {
        outcome = error;
      }
    }
    const { sameProcess } = this.worker.port;
    return { type: RecordType.ERROR, payload: encodeError(outcome, sameProcess, (encode) => this.attempt(encode)) };
  }

  protected override tell({ type, payload }: Reply, isFree: boolean): void {
    const { port } = this.worker;
    const steps = this.timer?.stepsFor(1) ?? 0;
    try {
      port.reply(this.task, type, payload, steps, isFree);
    } catch (error) {
      // Memory that cannot move: only the attempt tells, and nothing was sent.
      if (!(error instanceof SerializationError)) throw error;
      port.reply(this.task, RecordType.ERROR, encodeError(error, port.sameProcess), steps, isFree);
    }
  }
}

/** Whatever ends a chunk, the results so far are delivered. */
class ChunkRun extends Run<Runner> {
  readonly task: RunnerTask;
  readonly results: unknown[] = [];
  readonly timer: Timer = new Timer();

  constructor(runner: Runner, task: RunnerTask) {
    super(runner, task.fn);
    this.task = task;
  }

  protected override encode(type: number, outcome: unknown): Reply {
    const error: [] | [unknown] = type === RecordType.ERROR ? [outcome] : [];
    const steps = this.timer.stepsFor(this.results.length + error.length);
    const payload = encodeOutcome(
      [this.results, ...error],
      this.worker.port.sameProcess,
      (encode) => this.attempt(encode),
    );
    return { type: RecordType.VALUE, payload, steps };
  }

  protected override tell({ type, payload, steps = 0 }: Reply, isFree: boolean): void {
    this.worker.port.reply(this.task, type, payload, steps, isFree);
  }
}
