/**
 * The errors that callers catch. Built-in classes (`TypeError`, `RangeError`) are used wherever they say enough.
 *
 * @module
 */

/** A future was cancelled before it ran; thrown by `result()` and `exception()`. */
export class CancelledError extends Error {
  /** The class name, as on every error of this module. */
  override name = "CancelledError";
}

/** A wait ran out of time. The task it waited for goes on, and its future stays usable. */
export class TimeoutError extends Error {
  /** The class name, as on every error of this module. */
  override name = "TimeoutError";
}

/** The state of a future or of the program does not allow the operation. */
export class InvalidStateError extends Error {
  /** The class name, as on every error of this module. */
  override name = "InvalidStateError";
}

/** The executor takes no new work because it was shut down. */
export class ShutdownError extends Error {
  /** The class name, as on every error of this module. */
  override name = "ShutdownError";
}

/** The executor lost its workers and takes no new work; `cause` tells what happened. */
export class BrokenExecutor extends Error {
  /** The class name, as on every error of this module. */
  override name = "BrokenExecutor";
}

/** A {@linkcode ThreadPoolExecutor} cannot start or initialize its workers. */
export class BrokenThreadPool extends BrokenExecutor {
  /** The class name, as on every error of this module. */
  override name = "BrokenThreadPool";
}

/** How the process ended that broke a pool, as options of {@linkcode BrokenProcessPool}. */
export interface ProcessEnd {
  /** The process's number. */
  pid?: number;
  /** Its exit code; above 128 where a signal ended it. */
  exitCode?: number;
  /** The signal that ended it, such as `"SIGKILL"`; `null` where it exited. */
  signal?: string | null;
}

/** A worker process died abruptly, or could not be started or initialized. */
export class BrokenProcessPool extends BrokenExecutor {
  /** The class name, as on every error of this module. */
  override name = "BrokenProcessPool";
  /** The number of the process that died; `undefined` where none did. */
  pid: number | undefined;
  /** The exit code of the process that died; above 128 where a signal ended it. */
  exitCode: number | undefined;
  /** The signal that ended the process, such as `"SIGKILL"`; `null` where it exited. */
  signal: string | null | undefined;

  /**
   * Makes the error.
   *
   * @param message What happened, and the likely causes.
   * @param options `cause`, and how the process ended.
   */
  constructor(message?: string, options: ErrorOptions & ProcessEnd = {}) {
    const { pid, exitCode, signal } = options;
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.pid = pid;
    this.exitCode = exitCode;
    this.signal = signal;
  }
}

/** A function could not be found again in the worker, nor be sent as source text. */
export class TaskNotFoundError extends Error {
  /** The class name, as on every error of this module. */
  override name = "TaskNotFoundError";
  /** URLs of the modules in which the function was looked for. */
  modules: string[];

  /**
   * Makes the error.
   *
   * @param message What was looked for and what to do about it.
   * @param modules URLs of the modules in which the function was looked for.
   * @param options Its cause, if it has one.
   */
  constructor(message: string, modules: string[] = [], options?: ErrorOptions) {
    super(message, options);
    this.modules = modules;
  }
}

/** A task called `Deno.exit()` or `self.close()`: it ends the task, not the worker. */
export class TaskExitError extends Error {
  /** The class name, as on every error of this module. */
  override name = "TaskExitError";
  /** What the task gave to `Deno.exit()`; 0 for `self.close()`. */
  exitCode: number;

  /**
   * Makes the error.
   *
   * @param message What the task called.
   * @param exitCode What it gave to `Deno.exit()`.
   */
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** An argument or a result contains something that cannot cross to or from a worker. */
export class SerializationError extends Error {
  /** The class name, as on every error of this module. */
  override name = "SerializationError";
  /** Where the value sits, such as `args[1].list[2].socket` or `result.list[2]`. */
  path: string;

  /**
   * Makes the error.
   *
   * @param message What cannot cross, and why.
   * @param path Where it sits, such as `args[1].list[2].socket`.
   * @param options `cause`, where another error is behind it.
   */
  constructor(message: string, path: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}
