/**
 * {@linkcode ProcessPoolExecutor}: an executor on child processes that speak JSON over stdin and stdout.
 *
 * What differs from Python on purpose: A child's standard input is not that of the program. Ctrl-C in the terminal ends
 * the program, and tasks only with it. What `initializer` throws is the `cause` of the pool's error. `map` chooses the
 * size of its chunks.
 *
 * Over 400 lines, because each option and each method tells its meaning where users look for it.
 *
 * @module
 */

import { checkBoolean, checkCount, checkDuration } from "../../futures/check.ts";
import { inspect } from "../../futures/inspect.ts";
import { BrokenProcessPool } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import type { BrokerStart } from "./_process_broker.ts";
import type { ConsumerStart } from "../_queue/protocol.ts";
import { deathError } from "./_death_error.ts";
import { configFlags } from "./_config.ts";
import { entry } from "../_owner/entry.ts";
import { executableOf, firstLaunch, type Launch } from "./_launch.ts";
import type { Controlled } from "../_map/controlled.ts";
import type { MapTarget } from "../_map/map.ts";
import { checkBag, checkInitializer, requestReadOfOwnModules } from "../_owner/options.ts";
import { pathOf } from "../_functions/file_paths.ts";
import { isPath, lookAt, mayLookAt } from "../_owner/paths.ts";
import { grantedBy, type Permissions } from "./permissions.ts";
import { ExecutorCore } from "../_owner/executor_core.ts";
import { chunked, controlled, Executor, type ShutdownOptions } from "../executor.ts";
import type { PoolStats } from "../pool_stats.ts";
import type { PoolTrace } from "../pool_trace.ts";

/** Options of {@linkcode ProcessPoolExecutor}. */
export interface ProcessPoolExecutorOptions {
  /**
   * The maximum number of processes, an integer of at least 1.
   *
   * @default {navigator.hardwareConcurrency}
   */
  maxWorkers?: number;
  /**
   * A function to call in each process before its first task. If it throws, the pool is broken.
   *
   * The unfinished futures, and later calls of `submit`, then fail with a {@linkcode BrokenProcessPool}, whose `cause`
   * is the error of the initializer.
   */
  // deno-lint-ignore no-explicit-any -- any parameters: constructors cannot be generic
  initializer?: (...args: any[]) => unknown;
  /**
   * The arguments of the initializer, which are copied for each process.
   *
   * @default {[]}
   */
  initargs?: readonly unknown[];
  /**
   * The number of tasks that a process runs before a new one takes its place, an integer of at least 1. By default
   * there is no limit.
   *
   * With 1, each task runs in a fresh process: tasks then share no globals and no modules.
   */
  maxTasksPerChild?: number;
  /**
   * The number of bytes that a process may hold after a task, an integer of at least 1. By default there is no limit.
   *
   * A process that holds more ends, and a new one takes its place for the next task. What counts is the memory that the
   * system says is in use by the process (`Deno.memoryUsage().rss`), including what waits for the garbage collector. A
   * process without a task holds some 60 MiB. While tasks take less than a millisecond, it is not looked at after each.
   * Celery has it as `worker_max_memory_per_child`.
   *
   * @example A task that leaves much behind
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertNotEquals } from "@std/assert";
   *
   * using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxMemoryPerChild: 200 * 2 ** 20 });
   * const leak = () => {
   *   Object.assign(globalThis, { left: new Uint8Array(300 * 2 ** 20).fill(1) });
   *   return Deno.pid;
   * };
   * assertNotEquals(pool.submit(leak).result(), pool.submit(() => Deno.pid).result());
   * ```
   */
  maxMemoryPerChild?: number;
  /**
   * The maximum number of tasks that may wait, an integer of at least 1. By default there is no limit.
   *
   * A task waits until a worker starts it or somebody cancels it. Each item of a `map` is a task. If as many tasks
   * wait, `submit` throws a {@linkcode QueueFullError}, and `map` waits by itself. To wait for room, use `ready()`.
   */
  maxQueued?: number;
  /**
   * The time for which a process may have nothing to do before it ends, in milliseconds, more than 0. By default it
   * stays.
   *
   * All processes may end like that. The next task starts one again, with its initializer. Java's
   * `ThreadPoolExecutor` has it as the keep-alive time.
   */
  idleTimeout?: number;
  /**
   * The permissions of the tasks, which are never more than those of the program.
   *
   * - `"inherit"`: each permission that the program has in full. One that it has only in part, as with `--allow-read=.`
   *   or `--deny-read`, is not passed on.
   * - `"none"`: no permission.
   * - An object: the permissions that it names. If the program does not have them, the constructor throws a
   *   `Deno.errors.NotCapable`.
   *
   * The constructor also refuses what Deno does not let a program check:
   *
   * - a range of addresses, if the program does not have `net` in full
   * - a pattern of variables, if it does not have `env` in full
   * - the name of a host, if it runs with `--deny-net`
   *
   * Checking a host without a port takes a while in a program that does not have `net` in
   * full.
   *
   * A process can always load the modules of its tasks, and import from the hosts of these modules. A task with `run`
   * or `ffi` can start programs and native code, to which these permissions do not apply.
   *
   * @default {"inherit"}
   *
   * @example One environment variable, and nothing else
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ProcessPoolExecutor({
   *   maxWorkers: 1,
   *   permissions: { env: ["HOME"] },
   * });
   * const stateOf = (variable: string) =>
   *   Deno.permissions.querySync({ name: "env", variable }).state;
   * assertEquals(pool.submit(stateOf, "HOME").result(), "granted");
   * assertEquals(pool.submit(stateOf, "PATH").result(), "prompt");
   * ```
   */
  permissions?: "inherit" | "none" | Deno.PermissionOptionsObject;
  /** Environment variables for the processes, in addition to those of the program. */
  env?: Record<string, string>;
  /** The working directory of the processes: a path or a `file:` URL. By default it is that of the program. */
  cwd?: string | URL;
  /**
   * The Deno executable that runs the processes: a path, a `file:` URL, or a name that is looked up in `PATH`.
   *
   * The program needs `--allow-run=<path>` for it. A program made with `deno compile` has to name one, because its own
   * executable is not Deno. If the file does not exist or may not be run, the first task breaks the pool, with a
   * `Deno.errors.NotFound` or `Deno.errors.NotCapable` as the `cause`.
   *
   * @default {Deno.execPath()}
   *
   * @example A compiled program
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * const deno = Deno.build.standalone ? "/usr/bin/deno" : Deno.execPath();
   * using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno });
   * assertEquals(await pool.submit((n: number) => 2 * n, 21), 42);
   * ```
   */
  deno?: string | URL;
  /**
   * What happens when a process dies.
   *
   * - `"break"`: the pool is broken, as in Python. All unfinished futures fail, and it takes no more tasks.
   * - `"replace"`: only the task that the process was running fails, and another process takes its place. If processes
   *   die again and again while they start, the pool still breaks.
   *
   * @default {"break"}
   */
  onWorkerCrash?: "break" | "replace";
  /**
   * Whether the error of a task says where that was submitted.
   *
   * Its stack then ends with a line `submitted at <file>:<line>:<column>`, and with the callers of that line. For a
   * `map` it is where `map` was called. To note this takes some microseconds for each call of `submit`, more than a
   * quick task costs in a thread, so it is off by default.
   *
   * @default {false}
   *
   * @example Which of many calls has failed
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertMatch } from "@std/assert";
   *
   * using pool = new ProcessPoolExecutor({ maxWorkers: 1, submittedAt: true });
   * const parse = (text: string) => JSON.parse(text);
   * const error = pool.submit(parse, "{").exception() as Error;
   * assertMatch(error.stack!, /submitted at .*:\d+:\d+/);
   * ```
   */
  submittedAt?: boolean;
}

/** How many pools have been given a name. */
let named = 0;

/**
 * Runs functions in child processes, which can be killed, can crash without harm, and can have fewer permissions.
 *
 * Use processes for code that may crash, leak memory, loop forever, or is not trusted. A task costs many times what it
 * costs in a {@linkcode ThreadPoolExecutor}. `submit` runs one call, {@linkcode Executor.prototype.map | map()} one for
 * each item of its inputs.
 *
 * - Each process is a Deno of its own. It starts on demand: each `submit` starts one if none is idle, up to
 *   `maxWorkers`.
 * - A process runs one task at a time. A task that returns a promise holds its process until the promise settles.
 * - A task can be stopped alone, whatever it does: see {@linkcode Executor.prototype.with | with()} and
 *   {@linkcode Future.prototype.abort | abort()}.
 * - Processes keep running while this thread computes or blocks. They end when the program ends, even if it is killed.
 * - What tasks print appears in the program's standard output and standard error. Their standard input is empty.
 * - The tasks of a process share its globals and modules, one after the other.
 * - The program needs `--allow-run` for Deno, and `--allow-read` for the modules that processes load.
 *
 * What a process sends to the program is data: it contains no functions, and nothing of it is evaluated. A process can
 * only answer the tasks that it was given.
 *
 * @example Submit a call, map a list
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
 * const power = (x: number, y: number) => x ** y;
 * assertEquals(await pool.submit(power, 2, 10), 1024);
 * assertEquals([...pool.map(power, [1, 2, 3], [3, 2, 1])], [1, 4, 3]);
 * ```
 *
 * @example Code that is not trusted
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ProcessPoolExecutor({
 *   maxWorkers: 1,
 *   permissions: "none",
 *   onWorkerCrash: "replace",
 * });
 * const future = pool.submit(() => Deno.readTextFileSync("/etc/hostname"));
 * assertEquals((future.exception() as Error).name, "NotCapable");
 * ```
 *
 * @see {@link https://github.com/concurrent-futures/futures/blob/main/executors/README.md | The guide to executors}
 * @see {@link https://github.com/concurrent-futures/futures/blob/main/executors/processes/README.md | Processes}
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor | Python's manual}
 */
export class ProcessPoolExecutor extends Executor {
  readonly #core: ExecutorCore;

  /**
   * Creates an executor. It starts no process until a function is submitted.
   *
   * @param options The maximum number of processes, or an object of options.
   * @throws {RangeError} If `maxWorkers`, `maxTasksPerChild`, `maxMemoryPerChild` or `maxQueued` is not an integer of
   * at least 1, `idleTimeout` is not more than 0, or `onWorkerCrash` has none of its values.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {SerializationError} If `initargs` contain something to {@linkcode transfer} that is not a buffer.
   * @throws {Deno.errors.NotCapable} If `permissions` names what the program does not have itself.
   * @throws {Deno.errors.NotSupported} If this is a compiled program, and `deno` names no executable.
   * @throws {InvalidStateError} If a worker is importing this module. To fix it, put the program into
   * `if (import.meta.main) { … }`.
   */
  constructor(options: number | ProcessPoolExecutorOptions = {}) {
    super();
    const {
      maxWorkers = navigator.hardwareConcurrency,
      initializer,
      initargs = [],
      maxQueued,
      idleTimeout,
      submittedAt = false,
      maxMemoryPerChild,
      maxTasksPerChild,
      permissions = "inherit",
      env,
      cwd,
      deno,
      onWorkerCrash = "break",
    } = typeof options === "number" ? { maxWorkers: options } : checkBag(options);
    checkCount("maxWorkers", maxWorkers);
    const call = checkInitializer(initializer, initargs);
    if (maxQueued !== undefined) checkCount("maxQueued", maxQueued);
    checkBoolean("submittedAt", submittedAt);
    if (idleTimeout !== undefined) checkDuration("idleTimeout", idleTimeout);
    if (maxMemoryPerChild !== undefined) checkCount("maxMemoryPerChild", maxMemoryPerChild);
    if (maxTasksPerChild !== undefined) checkCount("maxTasksPerChild", maxTasksPerChild);
    if (onWorkerCrash !== "break" && onWorkerCrash !== "replace") {
      throw new RangeError(`The option onWorkerCrash must be "break" or "replace": ${inspect(onWorkerCrash)}`);
    }
    const name = `ProcessPoolExecutor-${named++}`;
    const launch = prepareLaunch(permissions, env, cwd, deno);
    let launched: Launch;
    this.#core = new ExecutorCore(this, {
      name: "ProcessPoolExecutor",
      maxConsumers: 1,
      maxQueued,
      submittedAt,
      mapWorkers: maxWorkers,
      sameProcess: false,
      carriesSignals: true,
      initializer: call,
      detail: "msPerItem",
      bindsArguments: true,
      settlesChunks: true,
      stop: "ask",
      workerName: (number) => `${name}_${number}`,
      startWorker: () => startBroker(name, launched),
      startsAhead: true,
      startOptions: (): Omit<BrokerStart, keyof ConsumerStart | "initializer"> => ({
        launch: launched = launch(),
        name,
        maxWorkers,
        maxTasksPerChild: maxTasksPerChild ?? Infinity,
        idleTimeout,
        maxMemoryPerChild,
        replaces: onWorkerCrash === "replace",
      }),
      brokenError: (message, cause) => new BrokenProcessPool(message, { cause }),
      errorOf: deathError,
    });
  }

  /**
   * Schedules a call of a function in a process, and returns its future.
   *
   * The arguments are copied during the call. The process finds the function again in one of three ways:
   *
   * - by its {@linkcode taskRef};
   * - as an export of the module that calls `submit`, of one that this module imports, or of the main module;
   * - otherwise by its source text, which must not use names from around it.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param args The arguments of the call. If one cannot be sent, `submit` does not throw: the future fails with a
   * {@linkcode SerializationError}.
   * @returns The future of what the function returns or, if that is a promise, of what the promise resolves to.
   * @throws {TypeError} If `fn` is not a function.
   * @throws {BrokenProcessPool} If the pool is broken.
   * @throws {ShutdownError} If the pool was shut down.
   * @throws {QueueFullError} If as many tasks wait as `maxQueued` allows.
   * @throws {InvalidStateError} If a worker is importing this module. To fix it, put the program into
   * `if (import.meta.main) { … }`.
   */
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.#core.pool.submit(fn, args) as Future<Awaited<R>>;
  }

  /**
   * Waits until there is room for another task, if the option `maxQueued` limits how many may wait.
   *
   * If several callers wait, each place is offered to the one that came first. Call `submit` right after the `await`:
   * another call of `submit` may take the place otherwise.
   *
   * @example A producer that is quicker than its workers
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxQueued: 2 });
   * const futures = [];
   * for (let n = 1; n <= 5; n++) {
   *   await pool.ready();
   *   futures.push(pool.submit((n: number) => n * n, n));
   * }
   * assertEquals(await Promise.all(futures), [1, 4, 9, 16, 25]);
   * ```
   *
   * @returns A promise that resolves when there is room, or at once without `maxQueued`. It rejects with a
   * {@linkcode ShutdownError} if the pool is shut down, and with a {@linkcode BrokenProcessPool} if it is broken.
   */
  ready(): Promise<void> {
    return this.#core.ready();
  }

  /**
   * Returns what the pool does now, and how its tasks ended so far. Calling it each second costs next to nothing.
   *
   * The counts are exact. Of the times of many quick tasks only some are measured, because measuring each would take
   * longer than running it: see {@linkcode PoolStats.runTime}.
   *
   * @example How long tasks take
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
   * await pool.submit(() => new Promise((resolve) => setTimeout(resolve, 20)));
   * const { workers, idle, done, runTime } = pool.stats();
   * assertEquals([workers, idle, done], [1, 1, 1]);
   * assert(runTime.mean >= 15);
   * assertEquals(String(pool), "<ProcessPoolExecutor workers=1 idle=1 running=0 queued=0 done=1 failed=0>");
   * ```
   *
   * @returns The numbers of this moment.
   */
  stats(): PoolStats {
    return this.#core.stats();
  }

  /**
   * Starts a trace, which records each task that is submitted from now on, when it ends.
   *
   * Write the trace to a file, and open it in {@link https://ui.perfetto.dev} or `chrome://tracing`: a row for each
   * process, a bar for each task with its name, how long it waited, and how it ended. Tasks that no worker ran have
   * a row of their own.
   *
   * Measuring a task takes about as long as a task that does nothing. The trace grows, so stop it in time. Two traces
   * of a pool are independent of each other.
   *
   * @example Where the time goes
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
   * using trace = pool.trace();
   * await pool.submit(function rest() {
   *   return new Promise((resolve) => setTimeout(resolve, 20));
   * });
   * trace.stop();
   * const [task] = trace.toJSON().traceEvents.filter(({ ph }) => ph === "X");
   * assertEquals([task.name, task.tid, task.dur! >= 15_000], ["rest", 1, true]);
   * // For a viewer: await Deno.writeTextFile("trace.json", JSON.stringify(trace));
   * ```
   *
   * @returns The trace.
   */
  trace(): PoolTrace {
    return this.#core.trace();
  }

  /** Returns the text form, such as `<ProcessPoolExecutor workers=4 idle=2 running=2 queued=17 done=1200 failed=1>`. */
  override toString(): string {
    return this.#core.toString();
  }

  /** The text form that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** The text form that Node's `util.inspect` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /**
   * Sends several items at once.
   *
   * @ignore
   */
  // deno-lint-ignore no-explicit-any -- any function will do
  protected override [chunked](fn: (...args: any[]) => unknown): MapTarget {
    return this.#core.target(fn);
  }

  /**
   * Submits tasks with options.
   *
   * @ignore
   */
  protected override [controlled](): Controlled {
    return this.#core.controlled;
  }

  /**
   * Stops taking tasks, and waits without blocking until all processes have ended and their output is written.
   *
   * Tasks that are running or waiting still run, unless `cancelFutures` cancels those that have not started. A later
   * `submit` throws a {@linkcode ShutdownError}. It is safe to call `shutdown` again.
   *
   * @param options Whether to wait, and whether to cancel.
   * @returns A promise that resolves when all processes have ended, or at once with `wait: false`.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#core.shutdown(options);
  }

  /**
   * Stops taking tasks, and blocks the calling thread until all processes have ended and their output is written.
   *
   * Apart from that, it does what {@linkcode ProcessPoolExecutor.prototype.shutdown | shutdown()} does. Tasks that need
   * the calling thread, such as a server that runs on it, then wait forever.
   *
   * @param options Whether to wait, and whether to cancel.
   */
  override shutdownSync(options: ShutdownOptions = {}): void {
    this.#core.shutdownSync(options);
  }

  /**
   * Asks all processes to end, with SIGTERM, and stops taking tasks.
   *
   * Tasks that have not started are cancelled. Those that run fail with a {@linkcode BrokenProcessPool} when their
   * process has ended. A process that has not ended after two seconds is killed.
   *
   * It does not wait for the processes: use {@linkcode ProcessPoolExecutor.prototype.shutdown | shutdown()} for that.
   * It can be called at any time, and again. Python has it as `terminate_workers` since version 3.14.
   *
   * @see {@link https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor | Python's manual}
   */
  terminateWorkers(): void {
    this.#core.kill("SIGTERM");
  }

  /**
   * Kills all processes, with SIGKILL, and stops taking tasks. This also ends endless loops.
   *
   * Apart from that, it does what {@linkcode ProcessPoolExecutor.prototype.terminateWorkers | terminateWorkers()} does.
   * Python has it as `kill_workers` since version 3.14.
   *
   * @example An endless loop
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ProcessPoolExecutor(1);
   * const future = pool.submit(() => {
   *   for (;;);
   * });
   * while (!future.running()) {
   *   await new Promise((resolve) => setTimeout(resolve, 1));
   * }
   * pool.killWorkers();
   * assertEquals((future.exception() as Error).name, "BrokenProcessPool");
   * ```
   *
   * @see {@link https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor | Python's manual}
   */
  killWorkers(): void {
    this.#core.kill("SIGKILL");
  }
}

/** Checks the options now; what can only be known later is asked when the first process is started. */
function prepareLaunch(permissions: Permissions, env: unknown, cwd: unknown, deno: unknown): () => Launch {
  if (env !== undefined) checkEnv(env);
  const granted = () => grantedBy(permissions, env as Launch["env"]);
  granted();
  if (cwd !== undefined && typeof cwd !== "string" && !(cwd instanceof URL && cwd.protocol === "file:")) {
    throw new TypeError(`The option cwd must be a path or a file: URL: ${inspect(cwd)}`);
  }
  executableOf(deno);
  return () => {
    // This program may have given up permissions meanwhile, and Deno may have been replaced.
    const { flags, imports, canRead } = granted();
    return {
      deno: executableOf(deno),
      child: CHILD,
      isDeno: deno === undefined,
      flags: [...configFlags(), ...flags],
      imports,
      canRead,
      args: Deno.args,
      mainModule: Deno.mainModule,
      env: env as Launch["env"],
      cwd: cwd instanceof URL ? pathOf(cwd) : cwd,
    };
  };
}

function checkEnv(env: unknown): void {
  const isBag = typeof env === "object" && env !== null &&
    [Object.prototype, null].includes(Object.getPrototypeOf(env));
  for (const [name, value] of isBag ? Object.entries(env) : [["env", env]]) {
    if (isBag && typeof value === "string") continue;
    throw new TypeError(
      `The option ${isBag ? `env.${name} must be a string` : "env must be an object of strings"}: ${inspect(value)}`,
    );
  }
}

const BROKER = entry(import.meta.resolve("./_broker_thread.ts"), () => import("./_broker_thread.ts"));
const CHILD = entry(import.meta.resolve("./child/main.ts"), () => import("./child/main.ts"));

function startBroker(name: string, launch: Launch): Worker {
  const { deno } = launch;
  requestReadOfOwnModules("start a process", BROKER);
  if (Deno.permissions.requestSync({ name: "run", command: deno }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      `Cannot start a process without permission to run ${deno}. To fix it, run again with --allow-run=${deno}`,
    );
  }
  // One that may not be looked at fails when it is started.
  if (isPath(deno) && mayLookAt(deno) && !lookAt(deno)?.isFile) {
    throw new Deno.errors.NotFound(
      `Cannot find the executable of Deno: ${inspect(deno)}. To fix it, name it with the option deno`,
    );
  }
  const worker = new Worker(BROKER, { type: "module", name });
  try {
    const first = firstLaunch(launch);
    // Ahead of the message that it begins with: to move the port of that takes milliseconds, the first time.
    if (first !== undefined) worker.postMessage(first);
  } catch (error) {
    // What the caller has made of `env` since it was checked.
    worker.terminate();
    throw error;
  }
  return worker;
}
