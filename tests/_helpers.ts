/**
 * What every test shares: a `test()` that ends within a bound and leaves no worker behind, ways to look at a future
 * both blocked and awaited, and gates that tell a test when a task has started.
 */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, fail } from "@std/assert";
import { CancelledError, type Future } from "@concurrent/futures";
import { describeSources } from "../futures/wakeup.ts";
import type { Started, WatchdogMessage } from "./_watchdog.ts";

/** To count what is run makes everything slow, encoding most of all. */
const SLOWNESS = Deno.env.get("DENO_COVERAGE_DIR") === undefined ? 1 : 5;

/** How long one wait may take, in milliseconds, before the test counts as hung. Never reached by a test that passes. */
export const BOUND: number = 10_000 * SLOWNESS;

const onLinux = Deno.build.os === "linux";

// ---- live workers -------------------------------------------------------------------------------------------------
// Deno's sanitizers do not see web workers, so they are counted here: by name where Deno lists threads, and by wrapping
// the constructor everywhere. The first message to a worker of a pool has the pool's shared memory: the watchdog gets
// it too.

const NativeWorker = globalThis.Worker;
const live = new Map<Worker, string>();
/** Those of them that all tests of a file share. */
const sharedWorkers = new Set<Worker>();
let started = 0;

class CountedWorker extends NativeWorker {
  readonly #id = ++started;
  #isWatched = false;

  constructor(url: string | URL, options?: WorkerOptions) {
    super(url, options);
    live.set(this, options?.name ?? "(no name)");
  }

  override postMessage(message: unknown, options?: Transferable[] | StructuredSerializeOptions): void {
    super.postMessage(message, options as Transferable[]);
    const { memory, results, bell } = (message ?? {}) as Partial<Started>;
    if (this.#isWatched || memory === undefined || results === undefined || bell === undefined) return;
    this.#isWatched = true;
    const worker = { id: this.#id, name: live.get(this)!, pool: numberOf(memory.buffer), memory, results, bell };
    tellWatchdog({ type: "started", worker });
  }

  override terminate(): void {
    live.delete(this);
    sharedWorkers.delete(this);
    super.terminate();
    if (this.#isWatched) tellWatchdog({ type: "terminated", id: this.#id });
  }
}
globalThis.Worker = CountedWorker;

const numbers = new WeakMap<SharedArrayBuffer, number>();
let pools = 0;

/** A number for the memory of a pool. */
function numberOf(buffer: SharedArrayBuffer): number {
  if (!numbers.has(buffer)) numbers.set(buffer, ++pools);
  return numbers.get(buffer)!;
}

/** How many workers this thread has started since the program began. */
export function startedWorkers(): number {
  return started;
}

/** How many workers this thread has started and not terminated, but for those that tests share. */
export function liveWorkers(): number {
  return live.size - sharedWorkers.size;
}

/** How many threads of this process run a web worker, or `undefined` where the system does not tell. */
export function workerThreads(): number | undefined {
  if (!onLinux) return undefined;
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    try {
      if (Deno.readTextFileSync(`/proc/self/task/${name}/comm`).startsWith("worker-")) count++;
    } catch { /* the thread ended between the two reads */ }
  }
  return count;
}

/** Child processes that all tests of a file share. */
const shared = new Set<string>();

/** Says that a child process outlives the tests; whoever started it ends it when the program ends. */
export function share(pid: number): void {
  shared.add(String(pid));
}

/** Says that all workers and child processes that there are now outlive the tests. */
export function shareWhatLives(): void {
  for (const worker of live.keys()) sharedWorkers.add(worker);
  for (const pid of childProcesses() ?? []) shared.add(pid);
}

/**
 * The living child processes of this process, but for those that tests share, or `undefined` where the system does not
 * tell.
 */
export function childProcesses(): string[] | undefined {
  if (!onLinux) return undefined;
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    try {
      found.push(...Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").filter((pid) => pid !== ""));
    } catch { /* as above, or a kernel without this list */ }
  }
  return found.filter((pid) => !shared.has(pid));
}

// ---- listeners ----------------------------------------------------------------------------------------------------
// The sanitizers see timers, also those that do not keep the program alive, but not who listens to the global scope.

interface Listening {
  type: string;
  listener: unknown;
  capture: boolean;
}

let listening: Listening[] = [];
const listen = globalThis.addEventListener.bind(globalThis);
const unlisten = globalThis.removeEventListener.bind(globalThis);

function isCapturing(options: boolean | EventListenerOptions = false): boolean {
  return typeof options === "boolean" ? options : options.capture ?? false;
}

function forget({ type, listener, capture }: Listening): void {
  listening = listening.filter((other) =>
    other.type !== type || other.listener !== listener || other.capture !== capture
  );
}

globalThis.addEventListener = (
  type: string,
  listener: EventListenerOrEventListenerObject,
  options?: boolean | AddEventListenerOptions,
): void => {
  listen(type, listener, options);
  const added = { type, listener, capture: isCapturing(options) };
  forget(added);
  listening.push(added);
  if (typeof options !== "object") return;
  if (options.once) listen(type, () => forget(added), { once: true, capture: added.capture });
  options.signal?.addEventListener("abort", () => forget(added));
};

globalThis.removeEventListener = (
  type: string,
  listener: EventListenerOrEventListenerObject,
  options?: boolean | EventListenerOptions,
): void => {
  unlisten(type, listener, options);
  forget({ type, listener, capture: isCapturing(options) });
};

/** The listeners of the global scope, but for the one that the library adds once and for all. */
function liveListeners(): Listening[] {
  return listening.filter(({ listener }) => (listener as { name?: string }).name !== "noteEndOfProgram");
}

// ---- watchdog -----------------------------------------------------------------------------------------------------

let watchdog: Worker | undefined;

function tellWatchdog(message: WatchdogMessage): void {
  watchdog ??= new NativeWorker(new URL("./_watchdog.ts", import.meta.url), { type: "module" });
  watchdog.postMessage(message);
}

/**
 * Kills this process, with a report, unless it is disposed of within so many milliseconds: also while this thread is
 * blocked.
 */
export function guard(name: string, ms: number): Disposable {
  tellWatchdog({ type: "guard", name, ms });
  return { [Symbol.dispose]: () => tellWatchdog({ type: "release" }) };
}

const noted: { toString(): string }[] = [];

/** Names an object whose text form the report of a hung test shall show. */
export function note<T extends { toString(): string }>(object: T): T {
  noted.push(object);
  return object;
}

function dump(): string {
  return [
    `live workers: ${live.size === 0 ? "none" : [...live.values()].join(", ")}`,
    `worker threads: ${workerThreads() ?? "unknown"}`,
    `child processes: ${childProcesses()?.join(", ").replace(/^$/, "none") ?? "unknown"}`,
    ...describeSources(),
    ...noted.slice(-20).map((object) => `noted: ${Deno.inspect(object)}`),
  ].join("\n");
}

// ---- test ---------------------------------------------------------------------------------------------------------

/** Options for {@linkcode test}. */
export interface TestOptions {
  /** The bound of the whole test in milliseconds. */
  bound?: number;
  /** For what only Linux can tell (threads, memory and CPU time in `/proc`): elsewhere the test does not exist. */
  linuxOnly?: boolean;
}

/**
 * How much later than its bound the watchdog ends a test, in milliseconds: it has that time to end what is left, unless
 * this thread is blocked. At the most as long as the bound itself.
 */
const MERCY = 10_000;

/**
 * Registers a test that ends within a bound and must leave no worker, child process, timer, listener or resource
 * behind.
 */
export function test(name: string, fn: () => void | Promise<void>, options: TestOptions = {}): void {
  const { linuxOnly = false } = options;
  const bound = (options.bound ?? 30_000) * SLOWNESS;
  if (linuxOnly && !onLinux) return;
  Deno.test({
    name,
    sanitizeOps: true,
    sanitizeResources: true,
    sanitizeExit: true,
    fn: async () => {
      using _watchdog = guard(name, bound + Math.min(bound, MERCY));
      await untilNoMore(0); // what the test before left when it failed
      const threadsBefore = workerThreads() ?? 0;
      const listenersBefore = new Set(liveListeners());
      noted.length = 0;
      let passed = false;
      try {
        await within(Promise.resolve().then(fn), "the test", bound);
        passed = true;
      } finally {
        if (!passed) await endWhatIsLeft();
      }
      await untilNoMore(threadsBefore);
      const left = [...live].filter(([worker]) => !sharedWorkers.has(worker));
      for (const [worker] of left) worker.terminate();
      assertEquals(left.map(([, name]) => name), [], "these workers were never terminated");
      await until(
        () => (workerThreads() ?? 0) <= threadsBefore,
        "the end of worker threads that outlive the test",
        2_000,
      );
      assertEquals(childProcesses() ?? [], [], "child processes outlive the test");
      const listeners = liveListeners().filter((listener) => !listenersBefore.has(listener));
      assertEquals(listeners, [], "these listeners were never removed");
    },
  });
}

/** After a test that failed, so that the next ones start afresh. */
async function endWhatIsLeft(): Promise<void> {
  for (const worker of live.keys()) worker.terminate();
  for (const child of programs) {
    try {
      child.kill("SIGKILL");
    } catch { /* it has just ended */ }
  }
  await until(() => programs.size === 0, "the programs that were killed").catch(() => {});
  await restore?.();
}

let restore: (() => Promise<void>) | undefined;

/** Says what makes anew what tests share: all workers are terminated when one of them has failed. */
export function restoreAfterFailure(start: () => Promise<void>): void {
  restore = start;
}

/** Gives workers that were told to end a moment to do so. */
async function untilNoMore(threads: number): Promise<void> {
  const end = performance.now() + 2_000;
  while (performance.now() < end) {
    if (liveWorkers() === 0 && (workerThreads() ?? 0) <= threads && (childProcesses() ?? []).length === 0) return;
    if (threads === 0 && liveWorkers() === 0) return;
    await sleep(2);
  }
}

// ---- waiting ------------------------------------------------------------------------------------------------------

/** Resolves after `ms` milliseconds. For pauses that are themselves what is tested. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Blocks this thread for `ms` milliseconds. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Computes for `ms` milliseconds without a pause. */
export function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Awaits `promise`, and fails with a report when it takes longer than `ms`. */
export async function within<T>(promise: PromiseLike<T>, what = "a promise", ms: number = BOUND): Promise<Awaited<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not settled after ${ms} ms\n${dump()}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Blocks until `condition` holds, looking every millisecond and never yielding to the event loop. */
export function untilSync(condition: () => boolean, what: string, ms: number = BOUND): void {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) fail(`${what}: not after ${ms} ms\n${dump()}`);
    pause(1);
  }
}

/** Waits until `condition` holds, looking every millisecond. */
export async function until(condition: () => boolean, what: string, ms: number = BOUND): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) fail(`${what}: not after ${ms} ms\n${dump()}`);
    await sleep(1);
  }
}

/** The milliseconds that `fn` took. */
export function elapsed(fn: () => void): number {
  const start = performance.now();
  fn();
  return performance.now() - start;
}

/**
 * Runs `round` up to `rounds` times and passes with the first that does: for bounds in time, which a busy machine may
 * break once, and a fault breaks each time.
 */
export async function bestOf(rounds: number, round: () => void | Promise<void>): Promise<void> {
  for (let i = 1;; i++) {
    try {
      return await round();
    } catch (error) {
      if (i >= rounds) throw error;
    }
  }
}

/** Random numbers that a seed tells. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer of at least 0 and below `end`. */
  below(end: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * end);
  }

  /** One of these. */
  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)];
  }

  /** The same items in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let i = all.length; i > 1; i--) {
      const j = this.below(i);
      [all[i - 1], all[j]] = [all[j], all[i - 1]];
    }
    return all;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(length).map(() => this.below(256));
  }
}

// ---- outcomes -----------------------------------------------------------------------------------------------------

/** What `fn` throws, whatever it is; fails when it throws nothing. */
// deno-lint-ignore no-explicit-any
export function thrownBy(fn: () => unknown): any {
  let value: unknown;
  try {
    value = fn();
  } catch (error) {
    return error;
  }
  fail(`nothing was thrown, but returned: ${Deno.inspect(value)}`);
}

/** What `promise` rejects with, whatever it is; fails when it does not. */
// deno-lint-ignore no-explicit-any
export async function rejectionOf(promise: PromiseLike<unknown>): Promise<any> {
  const outcome = await within(
    promise.then((value) => ({ value, failed: false }), (error) => ({ value: error, failed: true })),
    "a promise that shall reject",
  );
  if (!outcome.failed) fail(`nothing was thrown, but resolved: ${Deno.inspect(outcome.value)}`);
  return outcome.value;
}

/** A future, or what makes one: then one is looked at blocked first and another one awaited first. */
export type Source<T> = Future<T> | (() => Future<T>);

/** Checks the value of a future, both through a blocking `result()` and through `await`. */
export async function both<T>(source: Source<T>, check: (value: T) => void): Promise<void> {
  const blocked = note(typeof source === "function" ? source() : source);
  check(blocked.result(BOUND));
  assertStrictEquals(blocked.exception(BOUND), null, "exception() of a future that succeeded");
  check(await within(blocked, "a finished future") as T);
  if (typeof source !== "function") return;
  const awaited = note(source());
  check(await within(awaited, "a future") as T);
  check(awaited.result(0));
}

/** Checks the error of a future, both through a blocking `result()` and through `await`. */
// deno-lint-ignore no-explicit-any
export async function bothFail(source: Source<unknown>, check: (error: any) => void): Promise<void> {
  const blocked = note(typeof source === "function" ? source() : source);
  const error = thrownBy(() => blocked.result(BOUND));
  check(error);
  assert(Object.is(thrownBy(() => blocked.result(0)), error), "result() throws the same object each time");
  assert(Object.is(blocked.exception(BOUND), error), "exception() returns what result() throws");
  assert(Object.is(await rejectionOf(blocked), error), "await throws what result() throws");
  assert(blocked.done() && !blocked.cancelled() && !blocked.running(), `wrong state: ${blocked}`);
  if (typeof source !== "function") return;
  const awaited = note(source());
  check(await rejectionOf(awaited));
  check(thrownBy(() => awaited.result(0)));
}

/** Checks that a future is cancelled, in every way one can look. */
export async function bothCancelled(future: Future<unknown>): Promise<void> {
  assertEquals([future.cancelled(), future.done(), future.running(), future.state], [true, true, false, "CANCELLED"]);
  assertInstanceOf(thrownBy(() => future.result(BOUND)), CancelledError);
  assertInstanceOf(thrownBy(() => future.result()), CancelledError);
  assertInstanceOf(thrownBy(() => future.exception(BOUND)), CancelledError);
  assertInstanceOf(await rejectionOf(future), CancelledError);
  assertStrictEquals(future.cancel(), true, "cancel() again");
}

// ---- gates and files ----------------------------------------------------------------------------------------------

let directory: string | undefined;
let files = 0;

/** A path in a directory that is removed when the tests end. Nothing is there yet. */
export function temporaryPath(name = "file"): string {
  if (directory === undefined) {
    directory = Deno.makeTempDirSync({ prefix: "concurrent-futures-" });
    listen("unload", () => {
      try {
        Deno.removeSync(directory!, { recursive: true });
      } catch { /* a child that was killed may still write there */ }
    });
  }
  return `${directory}/${++files}-${name}`;
}

/**
 * Holds tasks until it is opened, in every kind of worker: `pool.submit(passGate, gate.path)` says in a file that it
 * has arrived and goes on when another file exists. Opens by itself at the end of its block.
 */
export class Gate implements Disposable {
  /** What `passGate` takes. */
  readonly path: string = temporaryPath("gate");

  /** How many tasks have arrived at this gate. */
  arrivals(): number {
    return sizeOf(`${this.path}.arrived`);
  }

  /** Waits until `count` tasks have arrived. */
  arrived(count = 1): Promise<void> {
    return until(() => this.arrivals() >= count, `${count} tasks at the gate (${this.arrivals()} are there)`);
  }

  /** Blocks until `count` tasks have arrived. */
  arrivedSync(count = 1): void {
    untilSync(() => this.arrivals() >= count, `${count} tasks at the gate (${this.arrivals()} are there)`);
  }

  open(): void {
    Deno.writeTextFileSync(`${this.path}.open`, "");
  }

  [Symbol.dispose](): void {
    this.open();
  }
}

/** A file to which tasks add a line each, as their proof that they ran. */
export class Ledger {
  /** What the recording tasks take. */
  readonly path: string = temporaryPath("ledger");

  /** The lines so far. */
  lines(): string[] {
    try {
      return Deno.readTextFileSync(this.path).split("\n").slice(0, -1);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** The lines so far as numbers, sorted. */
  numbers(): number[] {
    return this.lines().map(Number).sort((a, b) => a - b);
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

// ---- other programs -----------------------------------------------------------------------------------------------

/** Those that are running. */
const programs = new Set<Deno.ChildProcess>();

/** How a program ended. */
export interface Ended {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
  /** When it ended, as `Date.now()`. */
  at: number;
}

/**
 * Runs a program of `tests/fixtures/programs`, or at a URL, in a Deno of its own, or the tests in it, within a bound.
 */
export async function runProgram(
  name: string,
  args: readonly string[],
  options: {
    bound?: number;
    flags?: readonly string[];
    command?: "run" | "test";
    env?: Record<string, string>;
    cwd?: string;
    /** Whether it takes the versions of `deno.lock`: a registry may lack the newest of some package. */
    isLocked?: boolean;
  } = {},
): Promise<Ended> {
  const { bound = 20_000, flags = ["-A"], command = "run", env, cwd, isLocked = false } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      command,
      "--no-check",
      isLocked ? "--frozen" : "--no-lock",
      "--no-prompt",
      // It would also hide what tests write.
      ...(command === "run" ? ["--quiet"] : []),
      ...flags,
      new URL(name, new URL("./fixtures/programs/", import.meta.url)).href,
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
    cwd,
  }).spawn();
  programs.add(child);
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, bound);
  const status = child.status.then((ended) => ({ ...ended, at: Date.now() }));
  const [{ code, signal, at }, stdout, stderr] = await Promise.all([
    status,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  clearTimeout(timer);
  programs.delete(child);
  if (hung) fail(`${name} ${args.join(" ")} did not end after ${bound} ms\nstdout: ${stdout}\nstderr: ${stderr}`);
  return { code, signal, stdout, stderr, at };
}

/** Runs a program and takes the JSON value that it prints; fails with what it wrote when it ends badly. */
// deno-lint-ignore no-explicit-any
export async function outputOf(...program: Parameters<typeof runProgram>): Promise<any> {
  const { code, signal, stdout, stderr } = await runProgram(...program);
  if (code !== 0) fail(`${program[0]} ended with ${signal ?? code}\nstdout: ${stdout}\nstderr: ${stderr}`);
  assertEquals(stderr, "", `${program[0]} wrote to stderr`);
  try {
    return JSON.parse(stdout);
  } catch {
    fail(`${program[0]} printed no JSON: ${stdout}`);
  }
}
