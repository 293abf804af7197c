/**
 * Built-ins as they were when this library was loaded. A task may replace those of its worker, as one does that stops
 * the clock for a test, and the worker must still find its next task. Each is imported by the name that it stands for.
 *
 * This module keeps the functions that the library calls in a worker after it has loaded code of the user's, and would
 * look up in the global scope or on an object there. It does not keep the methods of prototypes
 * (`Array.prototype.push`, `Map.prototype.get`) and the classes: a worker in which one of those throws cannot go on,
 * and says so.
 *
 * @module
 */

const { Atomics: atomics, Date: date, JSON: json, Math: math, performance: clock } = globalThis;

/** The operations on shared memory. Not frozen, so that the tests of the protocol can come in between two of them. */
export const Atomics: Pick<
  typeof globalThis.Atomics,
  "add" | "compareExchange" | "exchange" | "load" | "notify" | "store" | "sub" | "wait" | "waitAsync"
> = {
  add: atomics.add,
  compareExchange: atomics.compareExchange,
  exchange: atomics.exchange,
  load: atomics.load,
  notify: atomics.notify,
  store: atomics.store,
  sub: atomics.sub,
  wait: atomics.wait,
  waitAsync: atomics.waitAsync,
};

/** The clock. */
export const performance: Pick<typeof globalThis.performance, "now"> = { now: clock.now.bind(clock) };

/** The clock of the system, which somebody may set. To read it takes half as long. */
export const Date: Pick<typeof globalThis.Date, "now"> = { now: date.now };

/** What the clock of this thread is behind the one that all threads and processes share. */
const { timeOrigin } = clock;

/** The time in milliseconds on a clock that all threads and processes of this machine share. */
export function sharedNow(): number {
  return timeOrigin + performance.now();
}

export const JSON: Pick<typeof globalThis.JSON, "parse" | "stringify"> = {
  parse: json.parse,
  stringify: json.stringify,
};

export const Math: Pick<typeof globalThis.Math, "ceil" | "log2" | "max" | "min" | "trunc"> = {
  ceil: math.ceil,
  log2: math.log2,
  max: math.max,
  min: math.min,
  trunc: math.trunc,
};

export const Promise: PromiseConstructor = globalThis.Promise;

/** Makes a promise that its caller settles. The class's own function would not do: a task may replace it. */
export function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason?: unknown) => void;
  const promise = new Promise<T>((...settle) => [resolve, reject] = settle);
  return { promise, resolve, reject };
}

type Timer = "setTimeout" | "clearTimeout" | "setInterval" | "clearInterval";

type Timers = { [N in Timer]: (typeof globalThis)[N] };

/** Looked up when it is called: Deno loads its timers, which takes milliseconds, when somebody looks at one. */
function ownTimer<N extends Timer>(name: N): Timers[N] {
  const { get, value } = Object.getOwnPropertyDescriptor(globalThis, name)!;
  const timer = (...args: unknown[]) => (get === undefined ? value : get.call(globalThis))(...args);
  return timer as Timers[N];
}

/**
 * Deno's own timers, also where a program has put others in their place, as a test does that stops the clock: the
 * workers go on meanwhile, and so must who waits for them. Not frozen, so that tests can count them.
 */
export const timers: Timers = {
  setTimeout: ownTimer("setTimeout"),
  clearTimeout: ownTimer("clearTimeout"),
  setInterval: ownTimer("setInterval"),
  clearInterval: ownTimer("clearInterval"),
};
