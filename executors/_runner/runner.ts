/**
 * How a worker runs tasks: what a thread and a child process have in common.
 *
 * A task's run ends once, by what comes first: it returns, throws, calls `Deno.exit()` or `self.close()`, leaves a rejection unhandled,
 * or throws in a timer.
 *
 * @module
 */

import { Atomics, Math, performance, Promise } from "../../futures/builtins.ts";
import { SerializationError, TaskExitError } from "../../futures/errors.ts";
import { EMPTY, type Encoded } from "../_values/encoded.ts";
import { decodeArguments, decodeItems, type EncodeOptions, encodeValue } from "../_values/codec.ts";
import { EXIT, isExit, outcomeOf } from "../../futures/task_exit.ts";
import type { Task } from "../_queue/consumer.ts";
import { RecordType, stepsOf, TaskFlag } from "../_queue/protocol.ts";
import type { Definition } from "../_functions/definition.ts";
import { encodeError, encodeOutcome } from "../_values/outcome.ts";
import { explain, type Import, isThenable, resolve, type TaskFunction } from "../_functions/resolve.ts";

/** Where tasks come from and results go. */
export interface TaskPort {
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
  reply(task: Task, type: number, payload: Encoded, steps: number, isFree: boolean): void;
  /** Tells the owner something of the task that runs; only processes do. */
  tell?(payload: Encoded): void;
  /** Ends the worker, which cannot answer: a task has changed or closed what that takes. It must not stay, or its task would never end. */
  abandonWorker(error: unknown): void;
}

/** How long tasks are run one after the other before timers and I/O of this thread get their turn, in milliseconds. */
export const TURN_MS = 10;

let taskPort: TaskPort;
let resultOptions: EncodeOptions;

/** Says where tasks come from. Must be called before anything else. */
export function runFor(port: TaskPort): void {
  taskPort = port;
  resultOptions = { root: "result", sameProcess: taskPort.sameProcess };
}

/**
 * Tells the owner something of the task that runs. It may get lost.
 *
 * @throws {SerializationError} The value cannot cross.
 */
export function tell(value: unknown): void {
  taskPort.tell?.(encodeValue(value, resultOptions));
}

/** Kept, because a task may replace it. */
const { error: printError } = console;

/** Whether this worker cannot answer any more. */
let isAbandoned = false;

/** What became of a run, as it is told. */
interface Reply {
  readonly type: number;
  readonly payload: Encoded;
  /** How long an item took, as `stepsOf()` says it. */
  readonly steps?: number;
}

/**
 * A task's run: it ends once, by what comes first, and is told once.
 *
 * To encode an outcome calls getters of it, and these may do whatever a task may, also end this run: by `Deno.exit()`,
 * or by an error that is reported. What ended it so is told in place of the outcome, when that has been encoded:
 * nothing of the task's runs after that.
 */
abstract class Run {
  isOver = false;
  /** Lets the thread go on to the next task. */
  onOver: (() => void) | undefined;
  #isEncoding = false;
  /** What ended it while its outcome was being encoded. */
  #interruption: { error: unknown } | undefined;
  readonly #fn: number;

  constructor(fn: number) {
    this.#fn = fn;
  }

  /** Encodes an outcome. */
  protected abstract encode(type: number, outcome: unknown): Reply;
  /** Tells what became of it, and whether nothing of it runs any more. */
  protected abstract tell(reply: Reply, isFree: boolean): void;

  end(type: number, outcome: unknown, isFree = false): void {
    if (this.isOver) return;
    if (this.#isEncoding) {
      // Not encoded here: an error that is reported while another one is, as by a getter of this one, would end the
      // worker.
      this.#interruption ??= { error: outcome };
      return;
    }
    this.#isEncoding = true;
    encoded = this;
    try {
      const reply = this.encode(type, type === RecordType.ERROR ? this.#explain(outcome) : outcome);
      this.isOver = true;
      this.tell(reply, isFree);
    } catch (error) {
      this.isOver = true;
      abandonWorker(error);
    }
    encoded = undefined;
    this.onOver?.();
  }

  #explain(error: unknown): unknown {
    try {
      return this.attempt(() => explain(functions.get(this.#fn), error));
    } catch (error) {
      return error;
    }
  }

  /** Encodes something, which may run anything; throws also what has ended the run meanwhile. */
  protected attempt<T>(encode: () => T): T {
    this.#interruption = undefined;
    let value: T | undefined;
    try {
      value = encode();
    } catch (error) {
      if (!this.#isInterrupted()) throw isExit(error) ? outcomeOf(error) : error;
    }
    if (this.#isInterrupted()) throw this.#interruption!.error;
    return value as T;
  }

  #isInterrupted(): boolean {
    return this.#interruption !== undefined;
  }
}

/** Says that this worker cannot go on: a task has changed what it needs. */
export function abandonWorker(error: unknown): void {
  isAbandoned = true;
  taskPort.abandonWorker(error);
}

/** The task that runs now, if any. */
let current: Run | undefined;

/** The task whose outcome is being encoded, if any: what its getters do is its own. */
let encoded: Run | undefined;

/**
 * Which task started what runs now, also when that task is done: timers and promises keep it. Node's module takes
 * milliseconds to load, so that is begun only when it can matter: when a task uses timers, or is followed by a rest.
 */
let tasks: { getStore(): Run | undefined; run<R>(run: Run, call: () => R): R } | undefined;
let isLoadingTasks = false;

async function loadTasks(): Promise<void> {
  if (isLoadingTasks) return;
  isLoadingTasks = true;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  tasks = new AsyncLocalStorage<Run>();
}

/**
 * The task that what runs now belongs to. Not everything tells: listeners, ports and Node's callbacks are called
 * without a context. That is then put down to the task that holds this worker, which would else wait for ever.
 */
function ownerOfNow(): Run | undefined {
  return encoded ?? tasks?.getStore() ?? current;
}

/** Calls a function as a part of a task. */
function callFor<R>(run: Run, call: () => R): R {
  return tasks === undefined ? call() : tasks.run(run, call);
}

function endTask(how: string, exitCode: number): never {
  const outcome = new TaskExitError(`Task called ${how}`, exitCode);
  ownerOfNow()?.end(RecordType.ERROR, outcome);
  // Unwinds the task; should it catch this and go on, what it returns comes too late. Not the outcome itself: the task
  // could add getters.
  throw Object.defineProperty(new TaskExitError(outcome.message, exitCode), EXIT, { value: outcome });
}

/** How the worker itself ends, and not only a task. */
export const endProcess = Deno.exit;
export const endThread: () => void = self.close.bind(self);

// Both end the worker without a word to who waits for the task.
Deno.exit = (code?: number) => {
  const exitCode = code ?? Deno.exitCode;
  endTask(`Deno.exit(${exitCode})`, exitCode);
};
self.close = () => endTask("self.close()", 0);

// Uncaught, they would end the whole program.
self.addEventListener("error", (event) => {
  if (isAbandoned) return;
  event.preventDefault();
  onUnhandledError(event.error ?? new Error(event.message), ownerOfNow());
});
self.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  onUnhandledError(event.reason, ownerOfNow());
});

/** An error that nobody caught in a timer, or a rejection that nobody handled: it ends its task, if that still runs. */
function onUnhandledError(error: unknown, owner: Run | undefined): void {
  if (isExit(error)) return;
  if (owner !== undefined && !owner.isOver) owner.end(RecordType.ERROR, error);
  else printError(`Uncaught in ${taskPort.name}, after its task was done:`, error);
}

// The event of an error in a timer does not tell which task had set the timer; so it is caught here.
for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, name)!;
  let watched: unknown;
  Object.defineProperty(globalThis, name, {
    configurable: true,
    enumerable: true,
    // Made when a task wants it first: looking at a timer is enough to make Deno set Node's up, which takes milliseconds.
    get: () => watched ??= watch(descriptor.get?.call(globalThis) ?? descriptor.value),
    set: (replacement) => watched = replacement,
  });
}

function watch(original: (...args: unknown[]) => unknown): unknown {
  void loadTasks();
  const replacement = (fn: unknown, ...rest: unknown[]) => original(typeof fn === "function" ? owned(fn) : fn, ...rest);
  // With what belongs to it, such as its name and Node's promisified form.
  return Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original));
}

// deno-lint-ignore ban-types -- whatever a timer is given
function owned(fn: Function): (...args: unknown[]) => unknown {
  const owner = ownerOfNow();
  return function (this: unknown, ...args) {
    try {
      return owner === undefined ? fn.apply(this, args) : callFor(owner, () => fn.apply(this, args));
    } catch (error) {
      onUnhandledError(error, owner);
    }
  };
}

const scratch = new Int32Array(new SharedArrayBuffer(4));

/** One turn of the event loop. */
export async function turn(): Promise<void> {
  const wait = Atomics.waitAsync(scratch, 0, 0);
  Atomics.notify(scratch, 0);
  if (wait.async) await wait.value;
}

/**
 * Runs the initializer.
 *
 * @returns What it threw, as a payload; `undefined` when it has succeeded.
 */
export async function initialize(fn: number, payload: Encoded): Promise<Encoded | undefined> {
  const run = new InitializerRun(fn);
  await runWith(run, async () => (await load(fn))(...decodeArguments(payload)));
  return run.failure;
}

class InitializerRun extends Run {
  failure: Encoded | undefined;

  protected override encode(type: number, outcome: unknown): Reply {
    return {
      type,
      payload: type === RecordType.ERROR
        ? encodeError(outcome, taskPort.sameProcess, (encode) => this.attempt(encode))
        : EMPTY,
    };
  }

  protected override tell({ type, payload }: Reply): void {
    if (type === RecordType.ERROR) this.failure = payload;
  }
}

/** Begins to load what telling the unhandled errors of tasks apart takes; called in a pause. */
export function prepareForUnhandledErrors(): void {
  void loadTasks();
}

const functions = new Map<number, TaskFunction>();

async function load(fn: number): Promise<TaskFunction> {
  let loaded = functions.get(fn);
  if (loaded === undefined) {
    loaded = await resolve(await taskPort.definition(fn), taskPort.import);
    functions.set(fn, loaded);
  }
  return loaded;
}

async function loadAndCall(fn: number, call: (fn: TaskFunction) => unknown): Promise<unknown> {
  return await call(await load(fn));
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

function timerFor({ flags }: Task): Timer | undefined {
  return (flags & TaskFlag.TIMED) === 0 ? undefined : new Timer();
}

/** Runs a task and replies; returns a promise when it takes more than this turn. */
export function runTask(task: Task): Promise<void> | undefined {
  const fn = functions.get(task.fn);
  if ((task.flags & TaskFlag.CHUNK) !== 0) return runChunk(task, fn);
  const run = new TaskRun(task);
  const call = (fn: TaskFunction) => {
    run.timer?.start();
    return fn(...decodeArguments(task.payload));
  };
  return runWith(run, () => fn === undefined ? loadAndCall(task.fn, call) : call(fn));
}

class TaskRun extends Run {
  readonly timer: Timer | undefined;
  readonly #task: Task;

  constructor(task: Task) {
    super(task.fn);
    this.#task = task;
    this.timer = timerFor(task);
  }

  protected override encode(type: number, outcome: unknown): Reply {
    if (type === RecordType.VALUE) {
      try {
        return { type, payload: this.attempt(() => encodeValue(outcome, resultOptions)) };
      } catch (error) {
        outcome = error;
      }
    }
    return {
      type: RecordType.ERROR,
      payload: encodeError(outcome, taskPort.sameProcess, (encode) => this.attempt(encode)),
    };
  }

  protected override tell({ type, payload }: Reply, isFree: boolean): void {
    const steps = this.timer?.stepsFor(1) ?? 0;
    try {
      taskPort.reply(this.#task, type, payload, steps, isFree);
    } catch (error) {
      // Memory that cannot move: only the attempt tells, and nothing was sent.
      if (!(error instanceof SerializationError)) throw error;
      taskPort.reply(this.#task, RecordType.ERROR, encodeError(error, taskPort.sameProcess), steps, isFree);
    }
  }
}

function runWith(run: Run, call: () => unknown): Promise<void> | undefined {
  current = run;
  try {
    const value = callFor(run, call);
    if (isThenable(value)) return settleLater(run, value);
    run.end(RecordType.VALUE, value, true);
  } catch (error) {
    run.end(RecordType.ERROR, error, true);
  }
  current = undefined;
  return undefined;
}

async function settleLater(run: Run, value: PromiseLike<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    run.onOver = resolve;
    // It may have called Deno.exit() already, before it returned its promise.
    if (run.isOver) resolve();
    void endWith(run, value);
  });
  current = undefined;
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

/** Runs a chunk's items one after the other, up to the first that fails. */
function runChunk(task: Task, fn: TaskFunction | undefined): Promise<void> | undefined {
  const run = new ChunkRun(task);
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
  return runWith(run, () => fn === undefined ? loadAndCall(task.fn, call) : call(fn));
}

/** Whatever ends a chunk, the results so far are delivered. */
class ChunkRun extends Run {
  readonly results: unknown[] = [];
  readonly timer: Timer = new Timer();
  readonly #task: Task;

  constructor(task: Task) {
    super(task.fn);
    this.#task = task;
  }

  protected override encode(type: number, outcome: unknown): Reply {
    const error: [] | [unknown] = type === RecordType.ERROR ? [outcome] : [];
    const steps = this.timer.stepsFor(this.results.length + error.length);
    const payload = encodeOutcome([this.results, ...error], taskPort.sameProcess, (encode) => this.attempt(encode));
    return { type: RecordType.VALUE, payload, steps };
  }

  protected override tell({ type, payload, steps = 0 }: Reply, isFree: boolean): void {
    taskPort.reply(this.#task, type, payload, steps, isFree);
  }
}
