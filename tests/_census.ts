/**
 * What is alive: workers, child processes, listeners. And the watchdog, which is told of all workers and ends a test
 * that hangs.
 */
import type { PoolMemory } from "../executors/_queue/protocol.ts";
import type { Started, WatchdogMessage } from "./_watchdog.ts";

const onLinux = Deno.build.os === "linux";

// ---- workers and processes ----------------------------------------------------------------------------------------
// Deno's sanitizers do not see web workers, so they are counted here: by name where Deno lists threads, and by wrapping
// the constructor everywhere. The first message to a worker of a pool has the pool's shared memory: the watchdog gets
// it too.

const NativeWorker = globalThis.Worker;
const live = new Map<Worker, string>();
/** Those of them that all tests of a file share. */
const sharedWorkers = new Set<Worker>();
let started = 0;
let newestMemory: PoolMemory | undefined;

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
    newestMemory = memory;
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

/** The memory of the pool whose worker was started last: shows what workers do while nobody asks the pool. */
export function memoryOfNewestPool(): PoolMemory {
  return newestMemory!;
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

/** Says that all workers that there are now outlive the tests. */
export function shareWorkers(): void {
  for (const worker of live.keys()) sharedWorkers.add(worker);
}

/**
 * Says that all workers and child processes that there are now outlive the tests.
 *
 * @returns What names those of them that still live, for who ends them.
 */
export function shareWhatLives(): () => string[] {
  const workers = new Set(live.keys()).difference(sharedWorkers);
  const pids = childProcesses() ?? [];
  shareWorkers();
  for (const pid of pids) shared.add(pid);
  return () => {
    const children = new Set(childProcesses({ all: true }));
    const names = [...workers].map((worker) => live.get(worker)).filter((name) => name !== undefined);
    return [...names, ...pids.filter((pid) => children.has(pid)).map((pid) => `process ${pid}`)];
  };
}

/**
 * The living child processes of this process, but for those that tests share unless all are asked for, or `undefined`
 * where the system does not tell.
 */
export function childProcesses({ all = false } = {}): string[] | undefined {
  if (!onLinux) return undefined;
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    try {
      found.push(...Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").filter((pid) => pid !== ""));
    } catch { /* as above, or a kernel without this list */ }
  }
  return found.filter((pid) => all || !shared.has(pid));
}

/** The names of the workers that live, those that tests share among them or not. */
export function namesOfWorkers({ all }: { all: boolean }): string[] {
  return [...live].filter(([worker]) => all || !sharedWorkers.has(worker)).map(([, name]) => name);
}

/** Ends all workers, or only those that tests do not share. */
export function terminateWorkers({ all }: { all: boolean }): void {
  for (const worker of live.keys()) if (all || !sharedWorkers.has(worker)) worker.terminate();
}

// ---- listeners ----------------------------------------------------------------------------------------------------
// The sanitizers see timers, also those that do not keep the program alive, but not who listens to the global scope.

export interface Listening {
  type: string;
  listener: unknown;
  capture: boolean;
}

let listening: Listening[] = [];
/** As that of the global scope, and nobody looks whether the listener is removed. */
export const addListener: typeof globalThis.addEventListener = globalThis.addEventListener.bind(globalThis);
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
  addListener(type, listener, options);
  const added = { type, listener, capture: isCapturing(options) };
  forget(added);
  listening.push(added);
  if (typeof options !== "object") return;
  if (options.once) addListener(type, () => forget(added), { once: true, capture: added.capture });
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
export function liveListeners(): Listening[] {
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

/** Lets the watchdog collect its garbage: the shared memory of pools of which it was told and that are gone. */
export async function collectWatchdogsGarbage(): Promise<void> {
  if (watchdog === undefined) return;
  const collected = Promise.withResolvers<unknown>();
  watchdog.addEventListener("message", collected.resolve, { once: true });
  tellWatchdog({ type: "collect" });
  await collected.promise;
}
