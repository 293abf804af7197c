/**
 * What would end a whole worker: errors that nobody catches, and calls such as `Deno.exit()`. Each is put down to the
 * task that it belongs to, and ends that task alone.
 *
 * @module
 */

import { isExit } from "../../futures/task_exit.ts";
import { RecordType } from "../_queue/protocol.ts";
import { current, exit, type Run } from "./_run.ts";

/** How the worker itself ends, and not only a task. */
export const endProcess = Deno.exit;
export const endThread: () => void = self.close.bind(self);

/** Kept, because a task may replace it. */
const { error: printError } = console;

/**
 * Which run started what runs now, also when that run is over: timers and promises keep it. Node's module takes
 * milliseconds to load, so that is begun only when it can matter: when a task uses timers, or is followed by a rest.
 */
let runs: {
  getStore(): Run | undefined;
  run<R>(run: Run, call: () => R): R;
  enterWith(run: Run | undefined): void;
} | undefined;
let isLoadingRuns = false;

/** Begins to load what it takes to tell apart the unhandled errors of tasks. */
export async function loadRuns(): Promise<void> {
  if (isLoadingRuns) return;
  isLoadingRuns = true;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  runs = new AsyncLocalStorage<Run>();
}

/**
 * The run that what runs now belongs to. Not everything tells: listeners, ports and Node's callbacks are called without
 * a context. What they do then counts as a part of the run that holds this worker, which would wait forever otherwise.
 */
export function runOfNow(): Run | undefined {
  return current.encoded ?? runs?.getStore() ?? current.run;
}

/** Calls a function as a part of a run. */
export function callFor<R>(run: Run, call: () => R): R {
  return runs === undefined ? call() : runs.run(run, call);
}

/** Kept, because a task may replace it. */
const timeout = AbortSignal.timeout.bind(AbortSignal);

/**
 * To be called when modules have been loaded for a task: Deno 2.9 then leaves the event loop with that run. Whatever
 * calls back without a context, such as the timer of `AbortSignal.timeout()`, would seem to belong to it long after it
 * is over. An error of such a callback in a later task would end no task: its future would never be done. Only such a
 * callback can correct that.
 */
export function leaveRun(): void {
  if (runs !== undefined) timeout(0).addEventListener("abort", () => runs!.enterWith(undefined));
}

/** A worker whose tasks are watched. */
interface Watched {
  /** What it is called in messages. */
  readonly name: string;
  /** Whether it can answer no more: then errors are not a task's. */
  readonly isAbandoned: boolean;
}

/** Watches from now on, in this thread, what tasks do beside their results. */
export function watchTasks(worker: Watched): void {
  // Both end the worker without a message to whoever waits for the task.
  Deno.exit = (code?: number) => {
    const exitCode = code ?? Deno.exitCode;
    exit(runOfNow(), `Deno.exit(${exitCode})`, exitCode);
  };
  self.close = () => exit(runOfNow(), "self.close()", 0);

  /** An error that nobody caught in a timer, or a rejection that nobody handled: it ends its run, if that goes on. */
  const onUnhandledError = (error: unknown, run: Run | undefined): void => {
    if (isExit(error)) return;
    if (run !== undefined && !run.isOver) {
      // What is left of it may never run, so nobody may be left who releases the locks that it holds.
      run.isCutOff = true;
      run.end(RecordType.ERROR, error);
    } else printError(`Uncaught error in ${worker.name}, after its task was done:`, error);
  };

  // Uncaught, they would end the whole program.
  self.addEventListener("error", (event) => {
    if (worker.isAbandoned) return;
    event.preventDefault();
    onUnhandledError(event.error ?? new Error(event.message), runOfNow());
  });
  self.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    onUnhandledError(event.reason, runOfNow());
  });
  for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) {
    watchTimer(name, onUnhandledError);
  }
}

type OnError = (error: unknown, run: Run | undefined) => void;

/** The event of an error in a timer does not tell which task had set the timer; so it is caught in the timer itself. */
function watchTimer(name: string, onError: OnError): void {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, name)!;
  let watched: unknown;
  Object.defineProperty(globalThis, name, {
    configurable: true,
    enumerable: true,
    // Made when a task wants it first: to look at a timer is enough to make Deno set up Node's, which takes
    // milliseconds.
    get: () => watched ??= watchedTimer(descriptor.get?.call(globalThis) ?? descriptor.value, onError),
    set: (replacement) => watched = replacement,
  });
}

function watchedTimer(original: (...args: unknown[]) => unknown, onError: OnError): unknown {
  void loadRuns();
  const replacement = (fn: unknown, ...rest: unknown[]) =>
    original(typeof fn === "function" ? watchedCallback(fn, onError) : fn, ...rest);
  // With what belongs to it, such as its name and Node's promisified form.
  return Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original));
}

// deno-lint-ignore ban-types -- whatever a timer is given
function watchedCallback(fn: Function, onError: OnError): (...args: unknown[]) => unknown {
  const run = runOfNow();
  return function (this: unknown, ...args) {
    try {
      return run === undefined ? fn.apply(this, args) : callFor(run, () => fn.apply(this, args));
    } catch (error) {
      onError(error, run);
    }
  };
}
