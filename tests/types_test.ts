/**
 * The types: what must compile, what must not, and what comes out. Checking this file is the test. Over 400 lines,
 * because each signature of each entry point has a line, and all use the same few declarations.
 */
import { assertEquals } from "@std/assert";
import {
  asCompleted,
  type ChromeTrace,
  type ChromeTraceEvent,
  type ControlledExecutor,
  type CurrentTask,
  type currentTask,
  Executor,
  FIRST_COMPLETED,
  Future,
  type MapOptions,
  type MapResults,
  type PoolStats,
  type PoolTimes,
  type PoolTrace,
  registerError,
  reportProgress,
  SerializationError,
  TaskExitError,
  taskRef,
  ThreadPoolExecutor,
  transfer,
  wait,
  waitSync,
} from "@concurrent/futures";
import {
  invokeAll,
  invokeAny,
  type InvokeOptions,
  parallel,
  parallelize,
  type ParallelOptions,
  type Task,
} from "@concurrent/futures/parallel";
import { progress, type ProgressOptions } from "@concurrent/futures/progress";
import {
  type AnyLock,
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  BrokenLockError,
  Condition,
  Event,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  QueueEmptyError,
  QueueFullError,
  type QueueOptions,
  QueueShutDownError,
  RLock,
  Semaphore,
} from "@concurrent/futures/sync";
import { test } from "./_helpers.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles only where the two types are the same. */
function sameType<A, B>(..._proof: Same<A, B> extends true ? [] : ["the types differ", A, B]): void {}

declare const pool: ThreadPoolExecutor;
declare const anyPool: Executor;
declare const numbers: Future<number>;
declare const mixed: (Future<number> | Future<string>)[];

const add = (a: number, b: number): number => a + b;
const later = async (text: string): Promise<string[]> => await Promise.resolve([text]);
const optional = (a: number, b?: string): string => `${a}${b}`;
const rest = (first: string, ...more: number[]): number => first.length + more.length;
const nothing = (): void => {};
const never = (): never => {
  throw new Error();
};
const generic = <T>(value: T): T[] => [value];
const thenable = (): PromiseLike<boolean> => Promise.resolve(true);
const nested = (): PromiseLike<PromiseLike<number>> =>
  Promise.resolve(1) as unknown as PromiseLike<PromiseLike<number>>;

/** Never called: its statements only have to compile. */
export async function compiles(): Promise<void> {
  // with
  const view = pool.with({ timeout: 5, signal: AbortSignal.abort(), name: "a", grace: 1 });
  sameType<typeof view, ControlledExecutor>();
  const viewed = view.submit(add, 1, 2);
  sameType<typeof viewed, Future<number>>();
  const inner = view.with({}).map(later, ["a"]);
  sameType<typeof inner, MapResults<string[]>>();
  const ofAny = anyPool.with({}).submit(generic<string>, "a");
  sameType<typeof ofAny, Future<string[]>>();
  sameType<ReturnType<typeof currentTask>, CurrentTask | undefined>();
  sameType<ReturnType<typeof numbers.abort>, boolean>();
  for await (const value of numbers.progress()) sameType<typeof value, unknown>();
  numbers.addProgressCallback((value) => sameType<typeof value, unknown>());
  reportProgress({ any: "value" });
  // @ts-expect-error the arguments are checked against the function
  view.submit(add, 1, "2");
  // @ts-expect-error a view is no pool of its own
  view.shutdown();
  // @ts-expect-error no such option
  pool.with({ timeOut: 5 });
  // @ts-expect-error no signal
  pool.with({ signal: 5 });
  // what a pool shows
  const ready = pool.ready();
  sameType<typeof ready, Promise<void>>();
  const stats = pool.stats();
  sameType<typeof stats, PoolStats>();
  sameType<typeof stats.runTime, PoolTimes>();
  sameType<typeof stats.waitTime.p99, number>();
  using trace = pool.trace();
  sameType<typeof trace, PoolTrace>();
  const chrome = trace.toJSON();
  sameType<typeof chrome, ChromeTrace>();
  sameType<typeof chrome.traceEvents, readonly ChromeTraceEvent[]>();
  new ThreadPoolExecutor({ maxQueued: 10, idleTimeout: 1_000 });
  // @ts-expect-error threads share one memory
  new ThreadPoolExecutor({ maxMemoryPerChild: 1e9 });
  // @ts-expect-error stats are of a moment
  stats.done = 1;
  // @ts-expect-error a count
  new ThreadPoolExecutor({ maxQueued: "10" });

  // submit
  const sum = pool.submit(add, 1, 2);
  sameType<typeof sum, Future<number>>();
  const texts = pool.submit(later, "a");
  sameType<typeof texts, Future<string[]>>();
  const optionals = [pool.submit(optional, 1), pool.submit(optional, 1, "b"), pool.submit(optional, 1, undefined)];
  sameType<typeof optionals, Future<string>[]>();
  const rests = [pool.submit(rest, "a"), pool.submit(rest, "a", 1, 2, 3)];
  sameType<typeof rests, Future<number>[]>();
  const voids = pool.submit(nothing);
  sameType<typeof voids, Future<void>>();
  const nevers = pool.submit(never);
  sameType<typeof nevers, Future<never>>();
  const thenables = pool.submit(thenable);
  sameType<typeof thenables, Future<boolean>>();
  const unnested = pool.submit(nested);
  sameType<typeof unnested, Future<number>>();
  const generics: Future<number[]> = pool.submit(generic<number>, 1);
  const inferred = pool.submit((a: number, b: string) => ({ a, b }), 1, "b");
  sameType<typeof inferred, Future<{ a: number; b: string }>>();
  const throughBase = anyPool.submit(add, 1, 2);
  sameType<typeof throughBase, Future<number>>();

  // @ts-expect-error: an argument of another type
  pool.submit(add, 1, "2");
  // @ts-expect-error: too few arguments
  pool.submit(add, 1);
  // @ts-expect-error: too many arguments
  pool.submit(add, 1, 2, 3);
  // @ts-expect-error: no arguments are wanted
  pool.submit(nothing, 1);
  // @ts-expect-error: not a function
  pool.submit(5);
  // @ts-expect-error: a name is not a function
  pool.submit("add", 1, 2);
  // @ts-expect-error: nothing to run
  pool.submit();
  // @ts-expect-error: the wrong rest argument
  pool.submit(rest, "a", "b");
  // @ts-expect-error: a number is no text
  const wrong: Future<string> = pool.submit(add, 1, 2);
  // @ts-expect-error: what is awaited is a number
  const wrongValue: string = await sum;
  // @ts-expect-error: what is returned is a number
  const wrongResult: string = sum.result();

  // Future
  const awaited = await texts;
  sameType<typeof awaited, string[]>();
  const result = texts.result();
  sameType<typeof result, string[]>();
  const exception = texts.exception(5);
  sameType<typeof exception, unknown>();
  const state = sum.state;
  sameType<typeof state, "PENDING" | "RUNNING" | "CANCELLED" | "FINISHED">();
  sameType<ReturnType<typeof sum.cancel>, boolean>();
  const chained = sum.then((n) => `${n}`, () => 5);
  sameType<typeof chained, Promise<string | number>>();
  const caught = sum.catch(() => "x");
  sameType<typeof caught, Promise<number | string>>();
  const final = sum.finally(() => {});
  sameType<typeof final, Promise<number>>();
  sum.addDoneCallback((future) => sameType<typeof future, Future<number>>());
  const like: PromiseLike<number> = sum;
  const all = await Promise.all([sum, texts, 5]);
  sameType<typeof all, [number, string[], number]>();
  const bare = new Future<Date>();
  bare.setResult(new Date());
  bare.setException(undefined);
  sameType<ReturnType<typeof bare.setRunningOrNotifyCancel>, boolean>();
  // @ts-expect-error: a value of another type
  bare.setResult(5);
  // @ts-expect-error: a timeout is a number
  sum.result("5");
  // @ts-expect-error: the state cannot be set
  sum.state = "FINISHED";
  // @ts-expect-error: a callback takes a future, not a value
  sum.addDoneCallback((value: number) => value);

  // map
  for (const n of pool.map(add, [1, 2], new Set([3]))) sameType<typeof n, number>();
  for await (const list of pool.map(later, ["a"])) sameType<typeof list, string[]>();
  for (const text of pool.map(optional, [1, 2])) sameType<typeof text, string>();
  const array = [...pool.map((n: number) => n > 1, [1, 2], { chunksize: 2, buffersize: 3, timeout: 5 })];
  sameType<typeof array, boolean[]>();
  const step = pool.map(add, [1], [2]).next();
  if (!step.done) sameType<typeof step.value, number>();
  const gathered = await Array.fromAsync(pool.map(add, [1], [2]));
  sameType<typeof gathered, number[]>();
  const asynchronous = (async function* () {
    yield 1;
  })();
  for await (const n of pool.map(add, asynchronous, [1])) sameType<typeof n, number>();
  for (const n of anyPool.map(add, [1], [2], {})) sameType<typeof n, number>();
  const characters = [...pool.map((c: string) => c.length, "abc")];
  sameType<typeof characters, number[]>();

  // @ts-expect-error: items of another type
  pool.map(add, [1], ["2"]);
  // @ts-expect-error: one input too few
  pool.map(add, [1]);
  // @ts-expect-error: one input too many
  pool.map(add, [1], [2], [3]);
  // @ts-expect-error: not iterable
  pool.map((n: number) => n, 5);
  // @ts-expect-error: no such option
  pool.map((n: number) => n, [1], { chunkSize: 5 });
  // @ts-expect-error: an option of another type
  pool.map((n: number) => n, [1], { timeout: "5" });
  // @ts-expect-error: the results are numbers
  const wrongItems: string[] = [...pool.map(add, [1], [2])];

  // map with settled
  const outcomes = [...pool.map(later, ["a"], { settled: true, ordered: false, timeout: 5, buffersize: 2 })];
  sameType<typeof outcomes, PromiseSettledResult<string[]>[]>();
  for await (const outcome of anyPool.map(add, [1], [2], { settled: true })) {
    sameType<typeof outcome, PromiseSettledResult<number>>();
    if (outcome.status === "fulfilled") sameType<typeof outcome.value, number>();
  }
  for (const outcome of pool.map(optional, [1], ["b"], { settled: true })) {
    sameType<typeof outcome, PromiseSettledResult<string>>();
  }
  for (const n of pool.map(add, [1], [2], { settled: false, ordered: true })) sameType<typeof n, number>();
  const options: MapOptions = { ordered: false };
  for (const n of pool.map(add, [1], [2], options)) sameType<typeof n, number>();
  const either = pool.map(add, [1], [2], { settled: Math.random() > 0.5 });
  sameType<typeof either, MapResults<number> | MapResults<PromiseSettledResult<number>>>();

  // @ts-expect-error: an outcome is no number
  const wrongOutcomes: number[] = [...pool.map(add, [1], [2], { settled: true })];
  // @ts-expect-error: without settled there are no outcomes
  for (const n of pool.map(add, [1], [2], { ordered: false })) n.status;
  // @ts-expect-error: an option of another type
  pool.map(add, [1], [2], { settled: "yes" });
  // @ts-expect-error: an option of another type
  pool.map(add, [1], [2], { ordered: 1 });
  // @ts-expect-error: no such option
  pool.map(add, [1], [2], { settled: true, order: false });
  // @ts-expect-error: one input too few
  pool.map(add, [1], { settled: true });

  // wait, waitSync, asCompleted
  const { done, notDone } = await wait([sum, texts]);
  sameType<typeof done, typeof notDone>();
  for (const future of done) sameType<typeof future, Future<number> | Future<string[]>>();
  const sets = waitSync(new Set([numbers]), { timeout: 5, returnWhen: FIRST_COMPLETED });
  sameType<typeof sets.done, Set<Future<number>>>();
  waitSync([numbers], { returnWhen: "FIRST_EXCEPTION" });
  for (const future of asCompleted([numbers], { timeout: 5 })) sameType<typeof future, Future<number>>();
  // TypeScript awaits the item type here, so that a future would be called by the type of its value: it is any instead.
  for await (const future of asCompleted([numbers])) {
    // deno-lint-ignore no-explicit-any -- see above
    sameType<typeof future, any>();
    const n: number = future.result();
    void n;
  }
  for (const future of asCompleted(mixed)) sameType<typeof future, Future<number> | Future<string>>();
  const iterable: Iterable<Future<number>> & AsyncIterable<Future<number>> = asCompleted([numbers]);
  const named = new Map(mixed.map((future) => [future, "name"]));
  for (const future of asCompleted(named.keys())) named.get(future);

  // @ts-expect-error: no such constant
  wait([numbers], { returnWhen: "SOME" });
  // @ts-expect-error: numbers are no futures
  wait([1, 2]);
  // @ts-expect-error: one future is not iterable
  waitSync(numbers);
  // @ts-expect-error: promises are no futures
  asCompleted([Promise.resolve(1)]);
  // @ts-expect-error: the option is called timeout
  asCompleted([numbers], { timeOut: 5 });

  // executors
  new ThreadPoolExecutor();
  new ThreadPoolExecutor(4);
  new ThreadPoolExecutor({ maxWorkers: 4, threadNamePrefix: "p", initializer: add, initargs: [1, 2] });
  new ThreadPoolExecutor({ initializer: nothing });
  const stopped = pool.shutdown({ wait: false, cancelFutures: true });
  sameType<typeof stopped, Promise<void>>();
  const stoppedSync = pool.shutdownSync();
  sameType<typeof stoppedSync, void>();
  {
    using one = new ThreadPoolExecutor(1);
    await using two = new ThreadPoolExecutor(1);
    const bases: Executor[] = [one, two];
    void bases;
  }
  // @ts-expect-error: not a number of workers
  new ThreadPoolExecutor("4");
  // @ts-expect-error: no such option
  new ThreadPoolExecutor({ workers: 4 });
  // @ts-expect-error: an initializer is a function
  new ThreadPoolExecutor({ initializer: 5 });
  // @ts-expect-error: no such option
  pool.shutdown({ cancel: true });
  // @ts-expect-error: Executor is abstract
  new Executor();

  // a subclass
  class Inline extends Executor {
    override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
      const future = new Future<Awaited<R>>();
      future.setResult(fn(...args) as Awaited<R>);
      return future;
    }
  }
  for (const n of new Inline().map(add, [1], [2])) sameType<typeof n, number>();
  // @ts-expect-error: submit is missing
  class Missing extends Executor {}

  // helpers
  const join = taskRef<(a: string, b: string) => string>(import.meta.resolve("@std/path"), "join");
  const joined = pool.submit(join, "a", "b");
  sameType<typeof joined, Future<string>>();
  pool.submit(taskRef<typeof add>(new URL(import.meta.url), "add"), 1, 2);
  // @ts-expect-error: an argument of another type
  pool.submit(join, "a", 5);
  const bytes = new Uint8Array(8);
  const length = pool.submit((given: Uint8Array) => given.length, transfer(bytes, [bytes.buffer]));
  sameType<typeof length, Future<number>>();
  const returned = pool.submit((given: Uint8Array) => transfer(given, [given.buffer]), bytes);
  sameType<typeof returned, Future<Uint8Array>>();
  class Mine extends Error {
    constructor(public a: number, public b: string) {
      super();
    }
  }
  registerError(Mine);
  // @ts-expect-error: not a class of errors
  registerError(Date);
  const { exitCode } = new TaskExitError("text", 5);
  sameType<typeof exitCode, number>();
  void [
    generics,
    wrong,
    wrongValue,
    wrongResult,
    like,
    wrongItems,
    iterable,
    Missing,
    SerializationError,
    wrongOutcomes,
  ];
}

test("the types of mod.ts: this file compiles", () => {
  assertEquals(compiles.length, 0);
});

/** Never called: its statements only have to compile. */
export function parallelCompiles(): void {
  const plus = parallel(add, { executor: pool.with({ timeout: 5 }) });
  sameType<typeof plus, (a: number, b: number) => Future<number>>();
  const made = parallel(later)("a");
  sameType<typeof made, Future<string[]>>();
  const results = parallelize(["a"], (text) => text.length, { executor: anyPool });
  sameType<typeof results, MapResults<number>>();
  const all = invokeAll([() => 1, async () => await Promise.resolve("a"), [add, 1, 2]], { timeout: 5 });
  sameType<typeof all, Future<[number, string, number]>>();
  const tasks: (() => boolean)[] = [];
  const many = invokeAll(tasks);
  sameType<typeof many, Future<boolean[]>>();
  const ofSet = invokeAll(new Set(tasks));
  sameType<typeof ofSet, Future<boolean[]>>();
  const any = invokeAny([() => 1, () => "a"], { executor: pool });
  sameType<typeof any, Future<number | string>>();
  const anyOfSet = invokeAny(new Set(tasks));
  sameType<typeof anyOfSet, Future<boolean>>();
  const task: Task<number> = [add, 1, 2];
  const pair = invokeAll([task, () => "a"]);
  sameType<typeof pair, Future<[number, string]>>();
  const none = invokeAll([]);
  sameType<typeof none, Future<[]>>();
  const ofGenerator = parallelize(oneNumber(), async (n) => await Promise.resolve(n > 1));
  sameType<typeof ofGenerator, MapResults<boolean>>();
  const options: ParallelOptions = { executor: undefined };
  const limits: InvokeOptions = { ...options, timeout: undefined };
  invokeAny([() => 1], limits);
  // @ts-expect-error the arguments are checked against the function
  plus("1", 2);
  // @ts-expect-error the arguments of a task are checked against its function
  invokeAll([[add, 1, "2"]]);
  // @ts-expect-error a function with parameters needs arguments
  invokeAny([add]);
  // @ts-expect-error no such option
  parallel(add, { timeout: 5 });
  // @ts-expect-error no items
  parallelize(5, add);
}

/** Never called: its statements only have to compile. */
export async function syncCompiles(): Promise<void> {
  for (const lock of [new Lock(), new RLock()]) {
    const any: AnyLock = lock;
    sameType<ReturnType<typeof any.acquire>, boolean>();
    sameType<Parameters<typeof any.acquire>, [timeout?: number]>();
    sameType<ReturnType<typeof any.acquireAsync>, Promise<boolean>>();
    sameType<ReturnType<typeof any.hold>, Disposable>();
    sameType<ReturnType<typeof any.holdAsync>, Promise<Disposable>>();
    sameType<ReturnType<typeof any.release>, void>();
    sameType<ReturnType<typeof any.locked>, boolean>();
    using _held = lock.hold(5);
    using _later = await lock.holdAsync();
  }

  for (const condition of [new Condition(), new Condition(new Lock()), new Condition(new RLock())]) {
    sameType<ReturnType<typeof condition.acquire>, boolean>();
    sameType<ReturnType<typeof condition.acquireAsync>, Promise<boolean>>();
    sameType<ReturnType<typeof condition.wait>, boolean>();
    sameType<ReturnType<typeof condition.waitAsync>, Promise<boolean>>();
    sameType<Parameters<typeof condition.wait>, [timeout?: number]>();
    const found = condition.waitFor(() => "found" as const, 5);
    sameType<typeof found, "found">();
    const foundLater = condition.waitForAsync(() => 5);
    sameType<typeof foundLater, Promise<number>>();
    sameType<ReturnType<typeof condition.locked>, boolean>();
    condition.notify();
    condition.notify(2);
    condition.notifyAll();
    condition.release();
    using _held = condition.hold();
    using _later = await condition.holdAsync(5);
  }
  // @ts-expect-error a condition has a lock of these classes
  new Condition(new Semaphore());

  for (const semaphore of [new Semaphore(), new BoundedSemaphore(2)]) {
    sameType<ReturnType<typeof semaphore.acquire>, boolean>();
    sameType<Parameters<typeof semaphore.acquire>, [timeout?: number]>();
    sameType<ReturnType<typeof semaphore.acquireAsync>, Promise<boolean>>();
    sameType<Parameters<typeof semaphore.release>, [n?: number]>();
    using _held = semaphore.hold(5);
    using _later = await semaphore.holdAsync();
  }
  // @ts-expect-error a number of permits
  new Semaphore("1");

  const event = new Event();
  sameType<ReturnType<typeof event.isSet>, boolean>();
  sameType<ReturnType<typeof event.wait>, boolean>();
  sameType<ReturnType<typeof event.waitAsync>, Promise<boolean>>();
  sameType<Parameters<typeof event.wait>, [timeout?: number]>();
  event.set();
  event.clear();

  const barrier = new Barrier(2, 5);
  sameType<ReturnType<typeof barrier.wait>, number>();
  sameType<ReturnType<typeof barrier.waitAsync>, Promise<number>>();
  sameType<[typeof barrier.parties, typeof barrier.nWaiting, typeof barrier.broken], [number, number, boolean]>();
  barrier.reset();
  barrier.abort();
  // @ts-expect-error the number of parties is needed
  new Barrier();
  // @ts-expect-error the number of parties stays
  barrier.parties = 3;

  const options: QueueOptions = { memory: 2 ** 20 };
  const queues = [new Queue<string>(), new LifoQueue<string>(5), new PriorityQueue<string>(0, options)] as const;
  const [queue, stack, heap] = queues;
  for (const each of queues) {
    sameType<[typeof each.maxsize], [number]>();
    sameType<ReturnType<typeof each.qsize>, number>();
    sameType<[ReturnType<typeof each.empty>, ReturnType<typeof each.full>], [boolean, boolean]>();
    sameType<[ReturnType<typeof each.join>, ReturnType<typeof each.joinAsync>], [boolean, Promise<boolean>]>();
    each.taskDone();
    each.shutdown();
    each.shutdown(true);
  }
  sameType<[ReturnType<typeof queue.get>, ReturnType<typeof queue.getAsync>], [string, Promise<string>]>();
  sameType<[ReturnType<typeof queue.getNowait>, ReturnType<typeof stack.get>], [string, string]>();
  sameType<Parameters<typeof queue.put>, [item: string, timeout?: number]>();
  sameType<Parameters<typeof queue.putNowait>, [item: string]>();
  sameType<ReturnType<typeof queue.putAsync>, Promise<void>>();
  sameType<ReturnType<typeof heap.get>, [priority: number, value: string]>();
  heap.put([1, "first"], 5);
  for (const item of queue) sameType<typeof item, string>();
  for await (const [priority, value] of heap) sameType<[typeof priority, typeof value], [number, string]>();
  // @ts-expect-error items are strings
  queue.put(5);
  // @ts-expect-error items are pairs
  heap.put("first");
  // @ts-expect-error no such option
  new Queue(0, { size: 5 });

  const take = (lock: Lock, queue: Queue<number>): number => lock.acquire() ? queue.get() : 0;
  const future = pool.submit(take, new Lock(), new Queue<number>());
  sameType<typeof future, Future<number>>();
  // @ts-expect-error the arguments are checked against the function
  pool.submit(take, new Lock(), new Queue<string>());
  for (
    const error of [
      new BrokenLockError(),
      new BrokenBarrierError(),
      new QueueEmptyError(),
      new QueueFullError(),
      new QueueShutDownError(),
    ]
  ) sameType<typeof error extends Error ? true : false, true>();
}

function* oneNumber(): Generator<number> {
  yield 1;
}

/** Never called: its statements only have to compile. */
export async function progressCompiles(): Promise<void> {
  const options: ProgressOptions = { total: 3, label: "load", unit: "files" };
  const ofArray = progress(["a"], options);
  sameType<typeof ofArray, Iterable<string> & AsyncIterable<string>>();
  const ofPromises = progress([Promise.resolve(1)]);
  for (const promise of ofPromises) sameType<typeof promise, Promise<number>>();
  for await (const n of ofPromises) sameType<typeof n, number>();
  const ofStream = progress(new ReadableStream<number>());
  for await (const n of ofStream) sameType<typeof n, number>();
  const ofMap = progress(pool.map(add, [1], [2]), { total: 1 });
  for (const n of ofMap) sameType<typeof n, number>();
  for await (const n of ofMap) sameType<typeof n, number>();
  const ofFutures = progress(asCompleted([pool.submit(add, 1, 2)]));
  for (const future of ofFutures) sameType<typeof future, Future<number>>();
  for await (const future of ofFutures) {
    // As that of asCompleted() itself: TypeScript would make a value of a future.
    // deno-lint-ignore no-explicit-any
    sameType<typeof future, any>();
  }
  const ofEither = progress(oneNumber() as Iterable<number> | AsyncIterable<number>);
  sameType<typeof ofEither, AsyncIterable<number>>();
  // @ts-expect-error for cannot read a stream
  for (const _ of ofStream);
  // @ts-expect-error a number is not iterable
  progress(5);
  // @ts-expect-error no such option
  progress([], { units: "files" });
  // @ts-expect-error a total is a number
  progress([], { total: "3" });
}
