/**
 * How a worker runs tasks: what a thread and a child process have in common. Over 400 lines: the runs that it makes
 * call back what is private here.
 *
 * @module
 */

import { Atomics, Date, Promise } from "../../futures/builtins.ts";
import { SerializationError } from "../../futures/errors.ts";
import { EMPTY, type Encoded } from "../_values/encoded.ts";
import { decodeArguments, decodeItems, type EncodeOptions, encodeValue } from "../_values/codec.ts";
import { RecordType, TaskFlag, type TaskLimits } from "../_queue/protocol.ts";
import type { Definition } from "../_functions/definition.ts";
import { encodeError, encodeOutcome } from "../_values/outcome.ts";
import { nameAndRest } from "../_values/named.ts";
import { hasObjects } from "../_values/shared_objects.ts";
import { releaseSignals } from "../_values/signals.ts";
import { holding, leave } from "../_queue/holders.ts";
import { type CurrentTask, setTaskHost } from "../current_task.ts";
import { explain, type Import, isThenable, resolve, type TaskFunction } from "../_functions/resolve.ts";
import { type BoundArgs, withBound } from "./_bound.ts";
import { current, type Reply, Run, type RunnerTask, type RunWorker } from "./_run.ts";
import { abortError, type RunAs, RunControl } from "./_run_control.ts";
import { SettledChunk } from "./_settled_chunk.ts";
import { Timer, timerFor } from "./_timer.ts";
import { callFor, leaveRun, loadRuns, runOfNow, watchTasks } from "./_unhandled.ts";

export type { RunAs, RunnerTask };
export { endProcess, endThread, leaveRun } from "./_unhandled.ts";

/** Where tasks come from and results go. */
export interface TaskPort<T extends RunnerTask = RunnerTask> {
  /** What the worker is called in messages. */
  readonly name: string;
  /** Whether results go to another thread of this process. */
  readonly sameProcess: boolean;
  /** The definition of a task's function. */
  definition(fn: number): Definition | Promise<Definition>;
  /** The arguments that all calls of a function have, where there are some; asked when the definition is known. */
  boundTo(fn: number): BoundArgs | undefined;
  /** Imports a task's module, or its text. */
  readonly import: Import;
  /** Loads the classes of the objects in shared memory that arguments may hold. */
  loadClasses?(): Promise<unknown>;
  /**
   * Takes what became of a task, and whether nothing of it runs any more.
   *
   * @throws {SerializationError} What the payload moves cannot move: nothing was sent, and something else may be.
   */
  reply(task: T, type: number, payload: Encoded, steps: number, isFree: boolean): void;
  /** Takes what a task that runs says of its progress. */
  progress(task: T, payload: Encoded): void;
  /** How long a task may run that has a timeout. */
  limitsOf(task: T): TaskLimits;
  /** The function of a task is called that has a timeout. */
  onCall(task: T): void;
  /** A function has returned a promise: its task goes on when this turn is over. */
  onPending?(): void;
  /** Whether a task that runs is to end, as others have said in shared memory. */
  isStopping(task: T): boolean;
  /** Called before the first task wants to hear in its event loop that it is to end. */
  listenForStops?(): void;
  /**
   * Whether tasks that await something are ended by this worker when they are to end; else somebody else ends them,
   * with the worker.
   */
  readonly endsStopped: boolean;
  /**
   * Ends the worker, which cannot answer any more, because a task has changed or closed what it needs for that. If it
   * stayed, its task would never end.
   */
  abandonWorker(error: unknown): void;
}

/** How long tasks are run one after the other before timers and I/O of this thread get their turn, in milliseconds. */
const TURN_MS = 10;

const scratch = new Int32Array(new SharedArrayBuffer(4));

/** Tells when it is time for a turn: asked after each task, so it reads the clock that takes the least time. */
export class TurnClock {
  #begun = 0;

  /** The event loop has had its turn. */
  begin(): void {
    this.#begun = Date.now();
  }

  /** Whether it is time, or was, before somebody has set the clock. */
  get isOver(): boolean {
    const ms = Date.now() - this.#begun;
    return ms > TURN_MS || ms < 0;
  }
}

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
  setTaskHost(runner);
  holding.name = () => runner!.holderName;
  holding.reasonToStop = () => runner!.reasonToStop();
  return runner;
}

/** Says what the calling task is, where it runs a task that somebody else has given to this worker's owner. */
export function runAs(task: RunAs): void {
  runner?.runAs(task);
}

/** Runs the tasks of one worker. */
export class Runner implements RunWorker {
  readonly port: TaskPort;
  readonly resultOptions: EncodeOptions;
  readonly #functions = new Map<number, TaskFunction>();
  #hasRun = false;
  #hasClasses = false;
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

  /**
   * Tells the owner how far the calling task has come. Nothing moves with it, and no memory is shared by it: it may get
   * lost. What a task says that is done is ignored.
   *
   * @throws {SerializationError} The value cannot cross.
   */
  progress(value: unknown): void {
    const run = runOfNow();
    if (run?.task === undefined || run.isOver) return;
    const payload = encodeValue(value, { root: "progress", sameProcess: false });
    if (!run.isOver) this.port.progress(run.task, payload);
  }

  /** The task that the caller is a part of, as it knows itself. */
  current(): CurrentTask | undefined {
    const run = runOfNow();
    return run instanceof TaskRun || run instanceof ChunkRun ? run.control.current : undefined;
  }

  /** See the function of this name. */
  runAs(task: RunAs): void {
    const run = runOfNow();
    if (run instanceof TaskRun) run.control.runsAs = task;
  }

  /** What runs now, as messages name who holds something. */
  get holderName(): string {
    const run = runOfNow();
    if (run?.task === undefined) return this.port.name;
    return `${this.port.name} for task ${run.name ?? (this.nameOf(run.task.fn) || "without a name")}`;
  }

  /** Why what runs now is to end, if it is. */
  reasonToStop(): [reason: unknown] | undefined {
    const run = runOfNow();
    return run instanceof TaskRun || run instanceof ChunkRun ? run.control.look() : undefined;
  }

  /** The run that holds this thread is to end: its signal is aborted. */
  onStop(isIt: (task: RunnerTask) => boolean, grace: number): void {
    const { run } = current;
    if (run?.task === undefined || run.isOver || !isIt(run.task)) return;
    (run as TaskRun | ChunkRun).control.stop(grace);
  }

  /** What a task's function is called. */
  nameOf(fn: number): string {
    return this.#functions.get(fn)?.name ?? "";
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
    await runWith(run, async () => {
      const initializer = await this.#load(fn);
      await this.#loadClassesFor(payload);
      return await initializer(...decodeArguments(payload));
    });
    return run.failure;
  }

  /** Runs a task and replies; returns a promise when it takes more than this turn. */
  runTask(task: RunnerTask): Promise<void> | undefined {
    this.#hasRun = true;
    let name: string | undefined;
    if ((task.flags & TaskFlag.NAMED) !== 0) {
      let payload: Encoded;
      [name, payload] = nameAndRest(task.payload);
      task = { ...task, payload };
    }
    const fn = this.#mustLoad(task.payload) ? undefined : this.#functions.get(task.fn);
    if ((task.flags & TaskFlag.SETTLED) !== 0) return this.#runEach(task, name);
    if ((task.flags & TaskFlag.CHUNK) !== 0) return this.#runChunk(task, fn, name);
    const run = new TaskRun(this, task, name);
    const call = (fn: TaskFunction) => {
      run.begin();
      return this.#noting(fn(...decodeArguments(takePayload(task))));
    };
    return runWith(run, () => fn === undefined ? this.#loadAndCall(run, call) : call(fn));
  }

  /** Runs a chunk's items one after the other, up to the first that fails. */
  #runChunk(task: RunnerTask, fn: TaskFunction | undefined, name: string | undefined): Promise<void> | undefined {
    const run = new ChunkRun(this, task, name);
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
      // Something else may have ended the chunk meanwhile.
      while (results.length < length && !run.isOver) {
        const next = call(results.length);
        results.push(isThenable(next) ? await next : next);
      }
    };
    const call = (fn: TaskFunction) => {
      timer.start();
      const { length, get } = decodeItems(takePayload(task));
      const isColumn = (task.flags & TaskFlag.COLUMN) !== 0;
      const callItem = isColumn ? (i: number) => fn(get(i)) : (i: number) => fn(...get(i) as unknown[]);
      if ((task.flags & TaskFlag.SIGNAL) === 0) return this.#noting(go(length, callItem));
      return go(length, (i) => {
        this.#assertGoesOn(task);
        return callItem(i);
      });
    };
    return runWith(run, () => fn === undefined ? this.#loadAndCall(run, call) : call(fn));
  }

  /** Runs a chunk's items one after the other, each as a run of its own: what ends one ends no other. */
  #runEach(task: RunnerTask, name: string | undefined): Promise<void> | undefined {
    const chunk = new SettledChunk(this, task);
    const { items } = chunk;
    if (items === undefined) return undefined;
    const isColumn = (task.flags & TaskFlag.COLUMN) !== 0;
    const mayStop = (task.flags & TaskFlag.SIGNAL) !== 0;
    const runItem = (i: number): Promise<void> | undefined => {
      const run = new ItemRun(this, task, name, chunk);
      const call = (fn: TaskFunction) => {
        if (mayStop) this.#assertGoesOn(task);
        chunk.timer.start();
        return this.#noting(isColumn ? fn(items.get(i)) : fn(...items.get(i) as unknown[]));
      };
      const fn = this.#mustLoad(task.payload) ? undefined : this.#functions.get(task.fn);
      return runWith(run, () => fn === undefined ? this.#loadAndCall(run, call) : call(fn));
    };
    const goOn = async (busy: Promise<void>, i: number): Promise<void> => {
      await busy;
      while (++i < items.length) {
        const next = runItem(i);
        if (next !== undefined) await next;
      }
      chunk.reply(false);
    };
    for (let i = 0; i < items.length; i++) {
      const busy = runItem(i);
      if (busy !== undefined) return goOn(busy, i);
    }
    chunk.reply(true);
    return undefined;
  }

  /** Notes whether what a function has returned is a promise. */
  #noting<T>(value: T): T {
    if (this.port.onPending !== undefined && isThenable(value)) this.port.onPending();
    return value;
  }

  async #load(fn: number): Promise<TaskFunction> {
    let loaded = this.#functions.get(fn);
    if (loaded === undefined) {
      loaded = await resolve(await this.port.definition(fn), this.port.import);
      leaveRun();
      const bound = this.port.boundTo(fn);
      if (bound !== undefined) {
        await this.#loadClassesFor(bound.payload);
        loaded = withBound(loaded, bound);
      }
      this.#functions.set(fn, loaded);
    }
    return loaded;
  }

  /** Whether something has to be loaded before arguments can be decoded. */
  #mustLoad(payload: Encoded): boolean {
    return !this.#hasClasses && payload.shared.length > 0 && hasObjects(payload);
  }

  async #loadClassesFor(payload: Encoded): Promise<void> {
    if (!this.#mustLoad(payload)) return;
    await this.port.loadClasses?.();
    leaveRun();
    this.#hasClasses = true;
  }

  /** Forgets a function that no task calls any more, and what is bound to it. */
  forget(fn: number): void {
    this.#functions.delete(fn);
  }

  async #loadAndCall(run: TaskRun | ChunkRun, call: (fn: TaskFunction) => unknown): Promise<unknown> {
    const fn = await this.#load(run.task.fn);
    await this.#loadClassesFor(run.task.payload);
    // To load it may take long: it must not begin when it was stopped meanwhile.
    if (run.isOver) return undefined;
    this.#assertGoesOn(run.task);
    return await call(fn);
  }

  /** @throws {DOMException} The task is to end. */
  #assertGoesOn(task: RunnerTask): void {
    if (this.port.isStopping(task)) throw abortError();
  }
}

/**
 * Takes what the function of a task is called with, which its run does not hold then. `AsyncLocalStorage` keeps runs in
 * a `WeakMap`, and V8 frees a large text that is found there only when it collects all garbage.
 */
function takePayload(task: RunnerTask): Encoded {
  const { payload } = task;
  task.payload = EMPTY;
  return payload;
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
  release(run);
  return undefined;
}

async function settleLater(run: Run, value: PromiseLike<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    run.onOver = resolve;
    // It may have called Deno.exit() already, before it returned its promise.
    if (run.isOver) resolve();
    else run.onAwait();
    void endWith(run, value);
  });
  release(run);
}

/** Nothing of the run holds this thread any more. */
function release(run: Run): void {
  current.run = undefined;
  releaseSignals();
  if (holding.isNamed) leave(run.isCutOff);
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

/** What a run has from its beginning whose task has a name or a timeout. */
function controlFor(runner: Runner, run: TaskRun | ChunkRun, name: string | undefined): RunControl | undefined {
  const hasTimeout = (run.task.flags & TaskFlag.TIMEOUT) !== 0;
  if (name === undefined && !hasTimeout) return undefined;
  return new RunControl(runner, run, name, hasTimeout ? runner.port.limitsOf(run.task) : undefined);
}

class TaskRun extends Run<Runner> {
  readonly task: RunnerTask;
  readonly timer: Timer | undefined;
  /** What only a task has that asks for it, or has a name or a timeout. */
  #control: RunControl | undefined;

  constructor(runner: Runner, task: RunnerTask, name: string | undefined) {
    super(runner, task.fn);
    this.task = task;
    this.timer = timerFor(task);
    this.#control = controlFor(runner, this, name);
  }

  /** Its function is called, which has been loaded: its time begins. */
  begin(): void {
    this.timer?.start();
    this.#control?.begin();
  }

  get control(): RunControl {
    return this.#control ??= new RunControl(this.worker, this);
  }

  protected override isStopped(): boolean {
    return this.#control?.isLate || this.worker.port.isStopping(this.task);
  }

  override get name(): string | undefined {
    return this.#control?.name;
  }

  get #resultOptions(): EncodeOptions {
    const { name: task, worker: { resultOptions } } = this;
    return task === undefined ? resultOptions : { ...resultOptions, task };
  }

  override onAwait(): void {
    this.#control?.onAwait();
  }

  protected override encode(type: number, outcome: unknown): Reply {
    if (this.#control?.isLate) {
      return { type: RecordType.TIMED_OUT, payload: encodeValue(this.worker.name, this.worker.resultOptions) };
    }
    this.#control?.endInTime();
    if (type === RecordType.VALUE) {
      try {
        return { type, payload: this.attempt(() => encodeValue(outcome, this.#resultOptions)) };
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
  /** Those so far; none when they have been told. */
  results: unknown[] = [];
  readonly timer: Timer = new Timer();
  #control: RunControl | undefined;

  constructor(runner: Runner, task: RunnerTask, name: string | undefined) {
    super(runner, task.fn);
    this.task = task;
    this.#control = controlFor(runner, this, name);
  }

  get control(): RunControl {
    return this.#control ??= new RunControl(this.worker, this);
  }

  protected override isStopped(): boolean {
    return this.worker.port.isStopping(this.task);
  }

  override get name(): string | undefined {
    return this.#control?.name;
  }

  protected override encode(type: number, outcome: unknown): Reply {
    const error: [] | [unknown] = type === RecordType.ERROR ? [outcome] : [];
    const steps = this.timer.stepsFor(this.results.length + error.length);
    const payload = encodeOutcome(
      [this.results, ...error],
      this.worker.port.sameProcess,
      (encode) => this.attempt(encode),
      this.name,
    );
    return { type: RecordType.VALUE, payload, steps };
  }

  protected override tell({ type, payload, steps = 0 }: Reply, isFree: boolean): void {
    this.results = [];
    this.worker.port.reply(this.task, type, payload, steps, isFree);
  }
}

/** One item of a {@linkcode SettledChunk}. */
class ItemRun extends TaskRun {
  readonly #chunk: SettledChunk;

  constructor(runner: Runner, task: RunnerTask, name: string | undefined, chunk: SettledChunk) {
    super(runner, task, name);
    this.#chunk = chunk;
  }

  protected override tell(reply: Reply): void {
    this.#chunk.add(reply);
  }
}
