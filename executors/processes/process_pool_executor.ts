/**
 * {@linkcode ProcessPoolExecutor}: an executor on child processes that speak JSON over stdin and stdout.
 *
 * On purpose not as in Python: a child's standard input is not the program's; a Ctrl-C in the terminal reaches tasks
 * only by the end of the program; what `initializer` throws is the `cause` of the pool's error; `map` chooses its
 * chunks.
 *
 * @module
 */

import { checkCount } from "../../futures/check.ts";
import { inspect } from "../../futures/inspect.ts";
import { BrokenProcessPool } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import type { BrokerStart } from "./_process_broker.ts";
import type { ConsumerStart } from "../_queue/protocol.ts";
import { deathError } from "./_death_error.ts";
import { configFlags } from "./_config.ts";
import { entry } from "../_owner/entry.ts";
import { executableOf, type Launch } from "./_launch.ts";
import type { MapTarget } from "../_map/map.ts";
import { checkBag, checkInitializer, requestReadOfOwnModules } from "../_owner/options.ts";
import { pathOf } from "../_functions/file_paths.ts";
import { isPath, lookAt, mayLookAt } from "../_owner/paths.ts";
import { grantedBy, type Permissions } from "./permissions.ts";
import { ExecutorCore } from "../_owner/executor_core.ts";
import { chunked, Executor, type ShutdownOptions } from "../executor.ts";

/** Options of {@linkcode ProcessPoolExecutor}. */
export interface ProcessPoolExecutorOptions {
  /**
   * How many processes there are at the most, an integer of at least 1.
   *
   * @default {navigator.hardwareConcurrency}
   */
  maxWorkers?: number;
  /** Called in each process before its first task. If it throws, the pool is broken. */
  // deno-lint-ignore no-explicit-any -- any parameters: constructors cannot be generic
  initializer?: (...args: any[]) => unknown;
  /**
   * The initializer's arguments, copied for each process: what cannot be copied, such as a port, is refused.
   *
   * @default {[]}
   */
  initargs?: readonly unknown[];
  /** How many tasks a process runs before a new one takes its place, an integer of at least 1; not given: no limit. */
  maxTasksPerChild?: number;
  /**
   * What tasks may do: `"inherit"` grants what this program is granted without exceptions or limits, `"none"` nothing,
   * an object what it names. No process may do what this program may not, as of the start of the first process: an
   * object that names more is refused. So is what may have exceptions that Deno does not tell: ranges of addresses
   * where this program does not hold `net` in full, patterns of variables where it does not hold `env` in full, and
   * names of hosts with `--deny-net`. To make sure of a host without a port takes a fifth of a second then.
   *
   * The module of a task can be loaded in any case, and the hosts of such modules be imported from. With `run` or
   * `ffi` a task can start programs and native code that these limits do not hold for.
   *
   * @default {"inherit"}
   *
   * @example
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { env: ["HOME"] } });
   * const state = (variable: string) => Deno.permissions.querySync({ name: "env", variable }).state;
   * assertEquals(pool.submit(state, "HOME").result(), "granted");
   * assertEquals(pool.submit(state, "PATH").result(), "prompt");
   * ```
   */
  permissions?: "inherit" | "none" | Deno.PermissionOptionsObject;
  /** Environment variables that the processes have besides those of this program. */
  env?: Record<string, string>;
  /** The working directory of the processes; not given: that of this program. */
  cwd?: string | URL;
  /**
   * The executable of Deno that runs the processes: a path, a `file:` URL, or a name to be looked for in `PATH`. The
   * program needs `--allow-run=<path>`. A program made by `deno compile` has to name one, as its own executable is the
   * program. A pool whose executable is not there or may not be run is broken by its first task, with a
   * `Deno.errors.NotFound` or `Deno.errors.NotCapable` as the cause.
   *
   * @example
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * const deno = Deno.build.standalone ? "/usr/bin/deno" : Deno.execPath();
   * using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno });
   * assertEquals(await pool.submit((n: number) => 2 * n, 21), 42);
   * ```
   *
   * @default {Deno.execPath()}
   */
  deno?: string | URL;
  /**
   * What the death of a process does: `"break"` fails all unfinished futures and takes no more work, as Python does;
   * `"replace"` fails only the task that the process was running, and starts another one. A pool whose processes die
   * again and again while they are starting is broken in any case.
   *
   * @default {"break"}
   */
  onWorkerCrash?: "break" | "replace";
}

/** How many pools have been given a name. */
let named = 0;

/**
 * Runs functions in child processes, each a Deno of its own: they share nothing with this one, can be killed, may crash
 * or run out of memory, and can be given fewer permissions.
 *
 * Processes are started on demand: one per submit while none is idle, up to `maxWorkers`. Each runs one task at a time;
 * a task that returns a promise holds its process until the promise settles. They go on while this thread computes or
 * blocks. What they print to stdout and stderr appears on those of this program. When this program ends, however it
 * does, they end too. It needs the permissions to run Deno and to read the modules of this library. Their standard
 * input is empty: a task that reads it past Deno, by `node:fs` or a program that inherits it, fails within seconds.
 *
 * What a process sends is data: it carries no functions, nothing of it is evaluated, and a process can answer no task
 * but those that it was given. Tasks of one process share its globals and modules; `maxTasksPerChild: 1` gives each
 * task a process of its own.
 *
 * @example Submit and map
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
 * assertEquals(await pool.submit((x: number, y: number) => x ** y, 2, 10), 1024);
 * assertEquals([...pool.map((word: string) => word.length, ["a", "bc"])], [1, 2]);
 * ```
 *
 * @example Code that is not trusted
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: "none", onWorkerCrash: "replace" });
 * const future = pool.submit(() => Deno.readTextFileSync("/etc/hostname"));
 * assertEquals((future.exception() as Error).name, "NotCapable");
 * ```
 *
 * @see Python's manual on ProcessPoolExecutor.
 */
export class ProcessPoolExecutor extends Executor {
  readonly #core: ExecutorCore;

  /**
   * Makes an executor; processes are started when there is work.
   *
   * @param options How many processes at the most, or an object of options.
   * @throws {RangeError} `maxWorkers` or `maxTasksPerChild` is not an integer of at least 1, or `onWorkerCrash` is none
   * of its values.
   * @throws {TypeError} An option is of the wrong type.
   * @throws {SerializationError} `initargs` transfer something else than buffers.
   * @throws {Deno.errors.NotCapable} `permissions` names what this program may not do itself.
   * @throws {Deno.errors.NotSupported} This is a compiled program, and `deno` names no executable.
   * @throws {InvalidStateError} A worker is importing a task's module just now: guard the program with
   * `if (import.meta.main)`.
   */
  constructor(options: number | ProcessPoolExecutorOptions = {}) {
    super();
    const {
      maxWorkers = navigator.hardwareConcurrency,
      initializer,
      initargs = [],
      maxTasksPerChild,
      permissions = "inherit",
      env,
      cwd,
      deno,
      onWorkerCrash = "break",
    } = typeof options === "number" ? { maxWorkers: options } : checkBag(options);
    checkCount("maxWorkers", maxWorkers);
    const call = checkInitializer(initializer, initargs);
    if (maxTasksPerChild !== undefined) checkCount("maxTasksPerChild", maxTasksPerChild);
    if (onWorkerCrash !== "break" && onWorkerCrash !== "replace") {
      throw new RangeError(`Cannot use onWorkerCrash, wanted "break" or "replace": ${inspect(onWorkerCrash)}`);
    }
    const name = `ProcessPoolExecutor-${named++}`;
    const launch = prepareLaunch(permissions, env, cwd, deno);
    this.#core = new ExecutorCore(this, {
      name: "ProcessPoolExecutor",
      maxConsumers: 1,
      mapWorkers: maxWorkers,
      sameProcess: false,
      initializer: call,
      detail: "msPerItem",
      stop: "ask",
      startWorker: () => startBroker(name, executableOf(deno)),
      startOptions: (): Omit<BrokerStart, keyof ConsumerStart | "initializer"> => ({
        launch: launch(),
        name,
        maxWorkers,
        maxTasksPerChild: maxTasksPerChild ?? Infinity,
        replaces: onWorkerCrash === "replace",
      }),
      brokenError: (message, cause) => new BrokenProcessPool(message, { cause }),
      errorOf: deathError,
    });
  }

  /**
   * Queues a call of a function in a process. The arguments are copied now.
   *
   * The function is found again in the process by a {@linkcode taskRef}, else as an export of the module that calls
   * this, of one that it imports, or of the main module; else its source text is sent, which must not use names from
   * around it.
   *
   * @example A process of its own
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertNotEquals } from "@std/assert";
   *
   * using pool = new ProcessPoolExecutor(1);
   * assertNotEquals(pool.submit(() => Deno.pid).result(), Deno.pid);
   * ```
   *
   * @typeParam A The function's parameters.
   * @typeParam R What it returns.
   * @param fn The function.
   * @param args Its arguments. One that cannot cross fails the future with a `SerializationError`; this method does not
   * throw for it.
   * @returns The future of what the function returns, or what its promise resolves to.
   * @throws {TypeError} `fn` is not a function.
   * @throws {BrokenProcessPool} The pool is broken.
   * @throws {ShutdownError} The pool was shut down.
   * @throws {InvalidStateError} A worker is importing a task's module just now.
   */
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.#core.pool.submit(fn, args) as Future<Awaited<R>>;
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
   * Takes no more work. What is running or queued still runs, unless it is cancelled; later calls of `submit` throw a
   * `ShutdownError`. May be called again.
   *
   * @param options Whether to wait, and whether to cancel what is queued.
   * @returns A promise that resolves when every process is gone and what it printed has been written; with `wait:
   * false` at once.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#core.shutdown(options);
  }

  /**
   * As {@linkcode shutdown}, blocking the calling thread. Tasks that need this thread, such as a server that runs on
   * it, then wait for ever.
   *
   * @param options Whether to wait, and whether to cancel what is queued.
   */
  override shutdownSync(options: ShutdownOptions = {}): void {
    this.#core.shutdownSync(options);
  }

  /**
   * Asks all processes to end, by SIGTERM, and takes no more work. Queued futures are cancelled; the running ones fail
   * with a `BrokenProcessPool` when their process has ended; one that has not after two seconds is killed. Does not
   * wait for that: use {@linkcode shutdown}. May be called at any time, and again.
   *
   * @see Python's manual on ProcessPoolExecutor.terminate_workers, new in version 3.14.
   */
  terminateWorkers(): void {
    this.#core.kill("SIGTERM");
  }

  /**
   * Kills all processes, by SIGKILL, and takes no more work; else as {@linkcode terminateWorkers}. It ends endless
   * loops, too.
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
   * while (!future.running()) await new Promise((resolve) => setTimeout(resolve, 1));
   * pool.killWorkers();
   * assertEquals((future.exception() as Error).name, "BrokenProcessPool");
   * ```
   *
   * @see Python's manual on ProcessPoolExecutor.kill_workers, new in version 3.14.
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
    throw new TypeError(`Cannot use cwd as a folder, wanted a path or a file: URL: ${inspect(cwd)}`);
  }
  executableOf(deno);
  return () => {
    // This program may have given up permissions meanwhile, and Deno may have been replaced.
    const { flags, imports, canRead } = granted();
    return {
      deno: executableOf(deno),
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
    throw new TypeError(`Cannot use ${isBag ? `env.${name} as text` : "env as an object of texts"}: ${inspect(value)}`);
  }
}

const BROKER = entry(import.meta.resolve("./_process_broker.ts"), () => import("./_process_broker.ts"));

function startBroker(name: string, deno: string): Worker {
  requestReadOfOwnModules("start a process", BROKER);
  if (Deno.permissions.requestSync({ name: "run", command: deno }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      `Cannot start a process without permission to run ${deno}: run again with --allow-run=${deno}`,
    );
  }
  // One that may not be looked at fails when it is started.
  if (isPath(deno) && mayLookAt(deno) && !lookAt(deno)?.isFile) {
    throw new Deno.errors.NotFound(
      `Cannot start a process without Deno's executable, name it by the option deno: ${inspect(deno)}`,
    );
  }
  return new Worker(BROKER, { type: "module", name });
}
