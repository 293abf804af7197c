/**
 * The errors that callers catch. Built-in classes (`TypeError`, `RangeError`) are used wherever they say enough.
 *
 * @module
 */

/**
 * Thrown when the result of a cancelled future is asked for.
 *
 * @example A future that was cancelled
 * ```ts
 * import { CancelledError, Future } from "@concurrent/futures";
 * import { assertThrows } from "@std/assert";
 *
 * const future = new Future();
 * future.cancel();
 * assertThrows(() => future.result(), CancelledError);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#exception-classes | Python's manual}
 */
export class CancelledError extends Error {
  /** The name of the class. */
  override name = "CancelledError";
}

/**
 * Thrown when a wait takes longer than its `timeout`, and by the future of a task that ran for longer than its own.
 *
 * After a wait the tasks continue, and their futures can still be used. Only a `map` that runs out of time cancels the
 * calls that have not started.
 *
 * A task with the option {@linkcode TaskOptions.timeout | timeout} is stopped. The message then names the task, its
 * worker and the time.
 *
 * @example A wait that takes too long
 * ```ts
 * import { Future, TimeoutError } from "@concurrent/futures";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => new Future().result(10), TimeoutError);
 * ```
 *
 * @example A task that takes too long
 * ```ts
 * import { ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";
 * import { assertInstanceOf } from "@std/assert";
 *
 * await using pool = new ProcessPoolExecutor(1);
 * const future = pool.with({ timeout: 50 }).submit(() => {
 *   for (;;);
 * });
 * assertInstanceOf(future.exception(), TimeoutError);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#exception-classes | Python's manual}
 */
export class TimeoutError extends Error {
  /** The name of the class. */
  override name = "TimeoutError";
}

/**
 * Thrown when the state of a future, or of the program, does not allow an operation.
 *
 * For example, a future that is done gets another result; the program blocks on a future that no executor will ever
 * complete; or a module uses an executor while a worker imports it, without `if (import.meta.main)`.
 *
 * @example A second outcome
 * ```ts
 * import { Future, InvalidStateError } from "@concurrent/futures";
 * import { assertThrows } from "@std/assert";
 *
 * const future = new Future<number>();
 * future.setResult(1);
 * assertThrows(() => future.setResult(2), InvalidStateError);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#exception-classes | Python's manual}
 */
export class InvalidStateError extends Error {
  /** The name of the class. */
  override name = "InvalidStateError";
}

/**
 * Thrown when a task is submitted to an executor that was shut down. Python throws a `RuntimeError`.
 *
 * @example A task after the shutdown
 * ```ts
 * import { ShutdownError, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertThrows } from "@std/assert";
 *
 * const pool = new ThreadPoolExecutor(1);
 * await pool.shutdown();
 * assertThrows(() => pool.submit(() => 1), ShutdownError);
 * ```
 */
export class ShutdownError extends Error {
  /** The name of the class. */
  override name = "ShutdownError";
}

/**
 * Thrown by `submit` when as many tasks wait in the executor as its option `maxQueued` allows, and by `put` of a queue
 * of `@concurrent/futures/sync` that is full.
 *
 * `await pool.ready()` waits until there is room in an executor, and `map` does so by itself.
 *
 * @example A queue that is full
 * ```ts
 * import { QueueFullError, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertThrows } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 1, maxQueued: 1 });
 * const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
 * pool.submit(rest, 50);
 * await pool.ready(); // the first one runs, and no other one waits
 * pool.submit(rest, 1);
 * assertThrows(() => pool.submit(rest, 1), QueueFullError);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/queue.html#queue.Full | Python's queue.Full}
 */
export class QueueFullError extends Error {
  /** The name of the class. */
  override name = "QueueFullError";
}

/**
 * The base class of the errors of a broken executor, which has lost its workers and takes no new tasks.
 *
 * Each unfinished future fails with an error of its own, and each later `submit` throws one. If another error broke the
 * executor, such as that of an `initializer`, it is the `cause`.
 *
 * @example An initializer that fails
 * ```ts
 * import { BrokenExecutor, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertInstanceOf } from "@std/assert";
 *
 * const initializer = () => {
 *   throw new Error("no license");
 * };
 * using pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer });
 * assertInstanceOf(pool.submit(() => 1).exception(), BrokenExecutor);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#exception-classes | Python's manual}
 */
export class BrokenExecutor extends Error {
  /** The name of the class. */
  override name = "BrokenExecutor";
}

/**
 * Thrown when a {@linkcode ThreadPoolExecutor} cannot start a thread, or its `initializer` throws.
 *
 * @example An initializer that fails
 * ```ts
 * import { BrokenThreadPool, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertInstanceOf } from "@std/assert";
 *
 * const initializer = () => {
 *   throw new TypeError("no license");
 * };
 * using pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer });
 * const error = pool.submit(() => 1).exception();
 * assertInstanceOf(error, BrokenThreadPool);
 * assertInstanceOf(error.cause, TypeError);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#exception-classes | Python's manual}
 */
export class BrokenThreadPool extends BrokenExecutor {
  /** The name of the class. */
  override name = "BrokenThreadPool";
}

/** Tells how a process ended: options for the constructor of {@linkcode BrokenProcessPool}. */
export interface ProcessEnd {
  /** The process ID. */
  pid?: number;
  /** The exit code of the process; 128 plus the number of the signal if a signal ended it. */
  exitCode?: number;
  /** The signal that ended the process, such as `"SIGKILL"`; `null` if the process exited by itself. */
  signal?: string | null;
}

/**
 * Thrown when a process of a {@linkcode ProcessPoolExecutor} dies, or cannot be started or initialized.
 *
 * With `onWorkerCrash: "replace"`, only the task that the process was running fails with it, and the pool goes on.
 *
 * @example A process that is killed
 * ```ts
 * import { BrokenProcessPool, ProcessPoolExecutor } from "@concurrent/futures";
 * import { assertEquals, assertInstanceOf } from "@std/assert";
 *
 * using pool = new ProcessPoolExecutor(1);
 * const error = pool.submit(() => Deno.kill(Deno.pid, "SIGKILL")).exception();
 * assertInstanceOf(error, BrokenProcessPool);
 * if (Deno.build.os !== "windows") assertEquals(error.signal, "SIGKILL");
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#exception-classes | Python's manual}
 */
export class BrokenProcessPool extends BrokenExecutor {
  /** The name of the class. */
  override name = "BrokenProcessPool";
  /** The ID of the process that died, or `undefined` if none did. */
  pid: number | undefined;
  /** The exit code of the process that died; 128 plus the number of the signal if a signal ended it. */
  exitCode: number | undefined;
  /** The signal that ended the process, such as `"SIGKILL"`; `null` if the process exited by itself. */
  signal: string | null | undefined;

  /**
   * Creates the error.
   *
   * @param message What happened, and the likely causes.
   * @param options The `cause`, and how the process ended.
   */
  constructor(message?: string, options: ErrorOptions & ProcessEnd = {}) {
    const { pid, exitCode, signal } = options;
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.pid = pid;
    this.exitCode = exitCode;
    this.signal = signal;
  }
}

/**
 * Thrown when a function cannot be sent to a worker, or the worker does not find it.
 *
 * The message says why, and what to write instead. Native functions (`Math.max`), bound functions and arrow functions
 * that use `this` cannot be sent.
 *
 * @example A native function
 * ```ts
 * import { TaskNotFoundError, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals, assertInstanceOf } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const error = pool.submit(Math.max, 1, 2).exception();
 * assertInstanceOf(error, TaskNotFoundError);
 * const max = (a: number, b: number) => Math.max(a, b);
 * assertEquals(pool.submit(max, 1, 2).result(), 2);
 * ```
 */
export class TaskNotFoundError extends Error {
  /** The name of the class. */
  override name = "TaskNotFoundError";
  /** The URLs of the modules in which the function was looked for. */
  modules: string[];

  /**
   * Creates the error.
   *
   * @param message What was looked for, and what to do about it.
   * @param modules The URLs of the modules in which the function was looked for.
   * @param options The `cause`.
   */
  constructor(message: string, modules: string[] = [], options?: ErrorOptions) {
    super(message, options);
    this.modules = modules;
  }
}

/**
 * Thrown when a task calls `Deno.exit()` or `self.close()`. Only the task ends; its worker goes on.
 *
 * @example A task that exits
 * ```ts
 * import { TaskExitError, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals, assertInstanceOf } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const error = pool.submit(() => Deno.exit(3)).exception();
 * assertInstanceOf(error, TaskExitError);
 * assertEquals(error.exitCode, 3);
 * ```
 */
export class TaskExitError extends Error {
  /** The name of the class. */
  override name = "TaskExitError";
  /** The argument of `Deno.exit()`; 0 for `self.close()`. */
  exitCode: number;

  /**
   * Creates the error.
   *
   * @param message Which function the task called.
   * @param exitCode The argument of `Deno.exit()`; 0 for `self.close()`.
   */
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Thrown when an argument or a result contains a value that cannot be sent to or from a worker.
 *
 * Functions, symbols, instances of classes and streams cannot be sent. The message names the value, its place, and what
 * to do instead.
 *
 * @example A function in an argument
 * ```ts
 * import { SerializationError, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals, assertInstanceOf } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const job = { steps: [() => 1] };
 * const error = pool.submit((value: unknown) => typeof value, job).exception();
 * assertInstanceOf(error, SerializationError);
 * assertEquals(error.path, "args[0].steps[0]");
 * ```
 */
export class SerializationError extends Error {
  /** The name of the class. */
  override name = "SerializationError";
  /** The place of the value, such as `args[1].list[2].socket` or `result.list[2]`. */
  path: string;

  /**
   * Creates the error.
   *
   * @param message What cannot be sent, and why.
   * @param path The place of the value, such as `args[1].list[2].socket`.
   * @param options The `cause`, if another error is the reason.
   */
  constructor(message: string, path: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}
