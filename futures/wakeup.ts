/**
 * How other threads wake this one: by one bell for all executors of the thread.
 *
 * A blocked thread hears neither messages nor timers, so results come through shared memory, and a thread that puts one
 * there rings the bell. This thread listens in one of two ways, on the same word: by `Atomics.wait` while a caller
 * blocks, else by `Atomics.waitAsync` from the event loop.
 *
 * @module
 */

import { ARMED, createBell, SEQUENCE, STATE } from "./bell.ts";
import { timers } from "./builtins.ts";
import { InvalidStateError } from "./errors.ts";
import { ensureStack, LOADING } from "./stack.ts";

/** For how many milliseconds a blocked thread polls before it sleeps: to wake a sleeper takes about as long. */
const SPIN_MS = 0.05;

/**
 * In how many of these milliseconds a thread that is awake has begun a task. If none has, one has to wake up first, or
 * has no core but that on which this thread polls: to poll on would only keep it from that core.
 */
const BEGIN_MS = 0.005;

/** After how many looks in a row nobody counts as busy: between two tasks nobody is, for a moment. */
const IDLE_LOOKS = 4;

/** For how many milliseconds one delivery holds the event loop before timers and I/O get their turn. */
const TURN_MS = 4;

/** Something that completes futures of this thread, such as a pool. */
export interface Source {
  /**
   * Takes what has arrived and settles the futures, running no code of the user's.
   *
   * @param until The time (`performance.now()`) at which to stop; the rest stays for the next call.
   * @returns Whether something is left.
   */
  collect(until: number): boolean;
  /** Called some time after {@linkcode lookAgainAfter}, also if nobody has rung. */
  lookAgain?(): void;
  /** Whether a thread that may ring has a task in hand. Without this method, one may have. */
  isBusy?(): boolean;
  /** The state in a few lines, for a report on a program that hangs. */
  describe(): string;
}

/** This thread's bell: give it to other threads with whatever they start from. */
export const bell: Int32Array = createBell();

const sources = new Set<Source>();
let settled: unknown[] = [];
let delivered = 0;
let callListeners: (item: unknown) => void = () => {};
let listening = false;
/** SEQUENCE as it was just before the last collection: the counter is read first, then what it counts. */
let collectedAt = 0;

/**
 * When this thread has last looked at the clock of `performance.now()`, blocked or from its event loop: for who wants
 * to know that roughly, and often.
 */
export let lookedAt = 0;

/** Listens to a source until it is removed. */
export function addSource(source: Source): void {
  sources.add(source);
  listen();
}

/** Stops listening to a source. */
export function removeSource(source: Source): void {
  sources.delete(source);
  dropTimerWhenUnused();
}

/** The state of each source, for a report on a program that hangs. */
export function describeSources(): string[] {
  return Array.from(sources, (source) => source.describe());
}

/** Sets the function, which must not throw, that calls the listeners of what {@linkcode deliverLater} queues. */
export function deliverWith(fn: (item: unknown) => void): void {
  callListeners = fn;
}

/** Queues something settled. The event loop calls its listeners, or a call that blocks this thread before. */
export function deliverLater(item: unknown): void {
  settled.push(item);
  if (listening) ringMyself();
  else listen();
}

/** What is settled, in that order, and not delivered yet: for who may call no listeners. */
export function* undelivered(): Generator<unknown, void> {
  for (let i = delivered; i < settled.length; i++) yield settled[i];
}

/** Collects from all sources and calls all listeners now, as a blocking call does. */
export function deliverNow(): void {
  collect(Infinity);
  deliver(Infinity);
}

/**
 * Blocks this thread until `isDone()`, delivering whatever arrives meanwhile.
 *
 * @param isDone Whether to stop; called after each delivery.
 * @param deadline When to stop in any case, on the clock of `performance.now()`.
 * @returns Whether it is done; `false` when the deadline passed.
 */
export function blockUntil(isDone: () => boolean, deadline: number): boolean {
  for (;;) {
    deliverNow();
    const seen = collectedAt;
    if (isDone()) return true;
    const now = lookedAt = performance.now();
    if (now >= deadline) return false;
    if (now >= looksAt) {
      // This may settle what the caller waits for.
      lookAgain();
      continue;
    }
    if (spin(seen, now, Math.min(now + SPIN_MS, deadline))) continue;
    Atomics.store(bell, STATE, ARMED);
    if (Atomics.load(bell, SEQUENCE) !== seen) continue;
    Atomics.wait(bell, STATE, ARMED, Math.min(deadline, looksAt) - performance.now());
  }
}

/**
 * Delivers and looks as a blocked thread does, for one that waits for something else than futures.
 *
 * @returns Whether there are sources, so that it has to be called again soon.
 */
export function lookWhileBlocked(): boolean {
  if (sources.size === 0) return false;
  deliverNow();
  lookedAt = performance.now();
  if (lookedAt >= looksAt) lookAgain();
  return true;
}

/** When the sources look again, on the clock of `performance.now()`. */
let looksAt = Infinity;
const never = new Int32Array(new SharedArrayBuffer(4));

/** Makes the sources look again after `ms` milliseconds; a blocked thread wakes up for that. */
export function lookAgainAfter(ms: number): void {
  // To wait for no time is not to wait.
  ms = Math.max(ms, 1);
  const at = performance.now() + ms;
  // Who wanted to look later says so again when it has looked now.
  if (looksAt <= at) return;
  // A timer would keep the program alive.
  const wait = Atomics.waitAsync(never, 0, 0, ms);
  if (!wait.async) return;
  void wait.value.then(() => {
    // Else this thread has blocked and looked in the meantime.
    if (looksAt === at) lookAgain();
  });
  // Last: where the stack has overflowed before this line, the next call tries again.
  looksAt = at;
}

/** Makes the sources look now, if it is time: for who neither blocks nor yields to the event loop. */
export function lookIfDue(): void {
  if (looksAt !== Infinity && performance.now() >= looksAt) lookAgain();
}

function lookAgain(): void {
  looksAt = Infinity;
  for (const source of sources) source.lookAgain?.();
}

/** Polls until the bell is rung, or nobody is busy. */
function spin(seen: number, start: number, until: number): boolean {
  const begun = start + BEGIN_MS;
  for (let idleLooks = 0; idleLooks < IDLE_LOOKS;) {
    for (let i = 0; i < 16; i++) {
      if (Atomics.load(bell, SEQUENCE) !== seen) return true;
    }
    const now = performance.now();
    if (now >= until) return false;
    // Not sooner: who asks slows those down who write what they do.
    if (now >= begun) idleLooks = isBusy() ? 0 : idleLooks + 1;
  }
  return false;
}

function isBusy(): boolean {
  for (const source of sources) if (source.isBusy === undefined || source.isBusy()) return true;
  return false;
}

function listen(): void {
  if (listening || (sources.size === 0 && settled.length === 0)) return;
  listening = true;
  Atomics.store(bell, STATE, ARMED);
  const wait = Atomics.waitAsync(bell, STATE, ARMED);
  if (!wait.async) queueMicrotask(onRing);
  else void wait.value.then(onRing);
  if (Atomics.load(bell, SEQUENCE) !== collectedAt || settled.length > 0) {
    ringMyself();
  }
}

function ringMyself(): void {
  Atomics.store(bell, STATE, 0);
  Atomics.notify(bell, STATE);
}

function onRing(): void {
  listening = false;
  lookedAt = performance.now();
  const until = lookedAt + TURN_MS;
  const more = collect(until);
  deliver(until);
  listen();
  // What is left has a turn of its own, so that timers and I/O come in between.
  if ((more || settled.length > 0) && listening) ringMyself();
}

function collect(until: number): boolean {
  let more = false;
  collectedAt = Atomics.load(bell, SEQUENCE);
  for (const source of sources) {
    if (source.collect(until)) more = true;
  }
  return more;
}

function deliver(until: number): void {
  while (delivered < settled.length) {
    // Counted up first, as a listener that blocks delivers the rest itself.
    callListeners(settled[delivered++]);
    if ((delivered & 63) === 0 && performance.now() >= until) return;
  }
  settled = [];
  delivered = 0;
}

// A pending waitAsync keeps no program alive, and an idle pool must not. So a timer does, while tasks are under way.
const NEVER_MS = 2 ** 31 - 1;
let holds = 0;
let timer: ReturnType<typeof globalThis.setInterval> | undefined;
let timerIsRef = false;
/** Whether the first timer is about to be set. */
let isTimerDue = false;

/** Keeps the program alive until {@linkcode release} was called as often as this. */
export function hold(): void {
  if (holds === 0 && !timerIsRef) {
    if (timer !== undefined) {
      Deno.refTimer(timer);
      timerIsRef = true;
    } else if (!isTimerDue) {
      ensureStack(LOADING);
      // Not now: Deno loads its timers at the first one, while workers could begin, and this thread may only block.
      queueMicrotask(setTimer);
      isTimerDue = true;
    }
  }
  // Last, so that nothing is counted where one of the calls above finds no stack left.
  holds++;
}

function setTimer(): void {
  isTimerDue = false;
  if (holds === 0 || timer !== undefined) return;
  timer = timers.setInterval(() => {}, NEVER_MS);
  timerIsRef = true;
}

/** Takes back one call of {@linkcode hold}. */
export function release(): void {
  if (--holds > 0) return;
  timerIsRef = false;
  if (timer !== undefined) Deno.unrefTimer(timer);
  dropTimerWhenUnused();
}

function dropTimerWhenUnused(): void {
  if (holds > 0 || sources.size > 0 || timer === undefined) return;
  timers.clearInterval(timer);
  timer = undefined;
}

/** The error of a call that would block forever. */
export function hopeless(waitedFor: string): InvalidStateError {
  return new InvalidStateError(
    `Cannot block without a timeout when no executor completes what the call waits for: ${waitedFor}. ` +
      "To fix it, use await, give a timeout, or call setResult() first",
  );
}
