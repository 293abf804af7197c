/**
 * {@linkcode Future}: the outcome of a task, which can be awaited or block.
 *
 * Differences from Python, on purpose: a cancelled future is done at once, everywhere; times are in milliseconds;
 * blocking on a future that nobody can complete throws instead of hanging. Over 400 lines, because nearly half of them
 * document a class that cannot be divided.
 *
 * @module
 */

import { deadlineAfter } from "./deadline.ts";
import { CancelledError, InvalidStateError, TimeoutError } from "./errors.ts";
import { befriend, type FutureOwner, type TaskControl, type Waiter } from "./_internals.ts";
import { typeName } from "./inspect.ts";
import { callBack, Progress } from "./_progress.ts";
import { blockUntil, deliverLater, deliverWith, hold, hopeless, release } from "./wakeup.ts";

export { type FutureOwner, internals, type TaskControl, type TaskOrigin, type Waiter } from "./_internals.ts";

/**
 * The states of a {@linkcode Future}.
 *
 * - `"PENDING"`: no worker has started the task.
 * - `"RUNNING"`: a worker is running the task.
 * - `"CANCELLED"`: the task was cancelled before it started, and never runs.
 * - `"FINISHED"`: the task has returned or thrown.
 */
export type FutureState = "PENDING" | "RUNNING" | "CANCELLED" | "FINISHED";

// The states and who may move a future from one to the next (all on the thread that owns the future):
// PENDING -> RUNNING     setRunningOrNotifyCancel()
// PENDING -> CANCELLED   cancel()
// PENDING, RUNNING -> SUCCEEDED, FAILED   setResult(), setException(), or the executor by settle() In lifecycle order,
// so that "done" is one comparison. How far a worker is stands in the executor's shared memory, and is read through
// FutureOwner.
const PENDING = 0;
const RUNNING = 1;
const CANCELLED = 2;
const SUCCEEDED = 3;
const FAILED = 4;
type State = 0 | 1 | 2 | 3 | 4;

let lastSerial = 0;

/**
 * The outcome of a task, which may still be waiting or running.
 *
 * An executor's `submit` returns a future. `await future` waits for the outcome;
 * {@linkcode Future.prototype.result | result()} blocks the calling thread until it is there, as in Python. A future is
 * *done* when its task has returned, has thrown, or was cancelled. Unlike in Python, a cancelled future is done at
 * once.
 *
 * `new Future()` makes a future that no executor completes. It is meant for tests and for authors of executors.
 *
 * @example Await the outcome, or block until it is there
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const future = pool.submit((a: number, b: number) => a + b, 1, 2);
 * assertEquals(await future, 3);
 * assertEquals(future.result(), 3);
 * ```
 *
 * @typeParam T The type of the task's result.
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#future-objects | Python's manual}
 */
export class Future<T> implements PromiseLike<T> {
  #state: State = PENDING;
  #outcome: unknown = undefined;
  #waiters: Waiter[] | undefined = undefined;
  // Typed with T, they would make Future<T> no Future<unknown>.
  #callbacks: unknown[] | undefined = undefined;
  #owner: FutureOwner | undefined = undefined;
  #slot = -1;
  /** What only some tasks have. */
  #control: TaskControl | undefined = undefined;
  #progress: Progress | undefined = undefined;
  #note: unknown = undefined;
  readonly #serial = ++lastSerial;

  static {
    deliverWith((item) => {
      if (item instanceof Progress) item.deliver();
      else (item as Future<unknown>).#deliver();
    });
    befriend({
      create(owner, control) {
        const future = new Future<unknown>();
        future.#owner = owner;
        future.#control = control;
        hold();
        return future;
      },
      fail(error, control) {
        const future = new Future<unknown>();
        future.#control = control;
        future.#finish(FAILED, error);
        return future;
      },
      cancelled(control) {
        const future = new Future<unknown>();
        future.#control = control;
        future.#finish(CANCELLED, undefined);
        return future;
      },
      controlOf: (future) => future.#control,
      setControl(future, control) {
        future.#control = control;
      },
      note(future, note) {
        future.#note = note;
      },
      noteOf: (future) => future.#note,
      progress(future, value) {
        if (future.#progress?.take(value)) deliverLater(future.#progress);
      },
      setSlot(future, slot) {
        future.#slot = slot;
      },
      settle(future, succeeded, outcome) {
        if (future.#state >= CANCELLED) return;
        future.#finish(succeeded ? SUCCEEDED : FAILED, outcome);
        if (future.#hasListeners()) deliverLater(future);
        else future.#letGo();
      },
      cancelAll(futures) {
        const cancelled = futures.filter((future) => future.#state === PENDING && future.#revoke());
        return () => {
          for (const future of cancelled) future.#deliver();
        };
      },
      isDone: (future) => future.#sync(false) >= CANCELLED,
      canComplete: (future) => future.#canComplete(),
      failed: (future) => future.#state === FAILED,
      addWaiter(future, waiter) {
        (future.#waiters ??= []).push(waiter);
      },
      removeWaiter(future, waiter) {
        const index = future.#waiters?.indexOf(waiter) ?? -1;
        if (index >= 0) future.#waiters!.splice(index, 1);
      },
    });
  }

  /**
   * The state of the task at this moment.
   *
   * It becomes `"RUNNING"` when a worker starts the task, even while this thread computes and does not return to its
   * event loop.
   */
  get state(): FutureState {
    switch (this.#sync()) {
      case PENDING:
        return "PENDING";
      case RUNNING:
        return "RUNNING";
      case CANCELLED:
        return "CANCELLED";
      default:
        return "FINISHED";
    }
  }

  /**
   * Cancels the task if no worker has started it.
   *
   * A cancelled task never runs, and its future is done at once: its callbacks are called before `cancel` returns. A
   * task that is already running continues.
   *
   * @example Cancel a task that waits
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assert, assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor(1);
   * const first = pool.submit(() => 1);
   * const second = pool.submit(() => 2);
   * if (second.cancel()) assert(second.cancelled());
   * else assertEquals(second.result(), 2); // the thread was faster
   * assertEquals(first.result(), 1);
   * ```
   *
   * @returns `true` if the task is cancelled, including when it already was; `false` if it is running or finished.
   */
  cancel(): boolean {
    if (this.#state === CANCELLED) return true;
    if (this.#state !== PENDING || !this.#revoke()) return false;
    this.#deliver();
    return true;
  }

  /**
   * Stops the task, in whatever state it is.
   *
   * - A task that no worker has started is cancelled, as by {@linkcode Future.prototype.cancel | cancel()}.
   * - A task that is running is told by the signal of {@linkcode currentTask}, and this future fails with the reason,
   *   whatever the task still returns or throws. A task that has not ended after its `grace` is ended: its process is
   *   killed, and another one takes its place; its thread, which cannot be killed while it computes, is given up. No
   *   other task suffers from that.
   * - A task that is done, or is being stopped already, is left alone.
   *
   * If no executor completes this future, `abort` does what `cancel` does.
   *
   * @example Stop an endless loop
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ProcessPoolExecutor(1);
   * const future = pool.submit(() => {
   *   for (;;);
   * });
   * while (!future.running()) await new Promise((resolve) => setTimeout(resolve, 1));
   * assertEquals(future.abort(new Error("too slow")), true);
   * assertEquals((future.exception() as Error).message, "too slow");
   * ```
   *
   * @param reason What the future of a running task fails with. By default it is a `DOMException` with the name
   * `"AbortError"`.
   * @returns `true` if this call stopped or cancelled the task.
   * @see {@link https://developer.mozilla.org/docs/Web/API/AbortController/abort | MDN: AbortController.abort()}
   */
  abort(reason?: unknown): boolean {
    for (;;) {
      if (this.#sync() >= CANCELLED) return false;
      if (this.#state === PENDING && this.#revoke()) {
        this.#deliver();
        return true;
      }
      const owner = this.#owner;
      if (owner?.stop === undefined) return false;
      const stopped = owner.stop(this.#slot, reason === undefined ? this.#abortError() : reason);
      if (stopped !== "pending") return stopped;
    }
  }

  /**
   * Tells whether the task was cancelled.
   *
   * @returns `true` in the state `"CANCELLED"`.
   */
  cancelled(): boolean {
    return this.#state === CANCELLED;
  }

  /**
   * Tells whether a worker is running the task.
   *
   * @returns `true` in the state `"RUNNING"`.
   */
  running(): boolean {
    return this.#sync() === RUNNING;
  }

  /**
   * Tells whether the task has returned, has thrown, or was cancelled.
   *
   * @returns `true` in the states `"CANCELLED"` and `"FINISHED"`.
   */
  done(): boolean {
    return this.#sync() >= CANCELLED;
  }

  /**
   * Blocks the calling thread until the future is done, and returns the result of the task.
   *
   * While it blocks, this thread still calls the callbacks of futures that become done. Its timers, its I/O and other
   * promises wait. A task that needs them, such as a request to a server on this thread, then never returns: use
   * `await`.
   *
   * @example With a timeout
   * ```ts
   * import { Future, TimeoutError } from "@concurrent/futures";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const future = new Future<string>();
   * assertThrows(() => future.result(10), TimeoutError);
   * future.setResult("late");
   * assertEquals(future.result(), "late");
   * ```
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit; `0` or less does not wait.
   * @returns The result of the task.
   * @throws The error of the task, if it has thrown: the same object at each call.
   * @throws {CancelledError} If the task was cancelled.
   * @throws {TimeoutError} If the time runs out. The task continues, and the future can still be used.
   * @throws {InvalidStateError} If there is no timeout, and no executor will ever complete this future.
   * @throws {RangeError} If `timeout` is `NaN`.
   * @throws {TypeError} If `timeout` is not a number.
   */
  result(timeout?: number): T {
    this.#wait(timeout);
    if (this.#state === FAILED) throw this.#outcome;
    return this.#outcome as T;
  }

  /**
   * Blocks the calling thread until the future is done, and returns the error of the task.
   *
   * It waits as {@linkcode Future.prototype.result | result()} does, but returns the error instead of throwing it.
   *
   * @example The error of a task
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals, assertInstanceOf } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor(1);
   * const parse = (text: string) => JSON.parse(text);
   * assertInstanceOf(pool.submit(parse, "{").exception(), SyntaxError);
   * assertEquals(pool.submit(parse, "{}").exception(), null);
   * ```
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit; `0` or less does not wait.
   * @returns What the task has thrown, or `null` if it has returned.
   * @throws {CancelledError} If the task was cancelled.
   * @throws {TimeoutError} If the time runs out. The task continues, and the future can still be used.
   * @throws {InvalidStateError} If there is no timeout, and no executor will ever complete this future.
   * @throws {RangeError} If `timeout` is `NaN`.
   * @throws {TypeError} If `timeout` is not a number.
   */
  exception(timeout?: number): unknown {
    this.#wait(timeout);
    return this.#state === FAILED ? this.#outcome : null;
  }

  /**
   * Calls a function when the future is done, or at once if it is already done.
   *
   * The functions run on this thread, in the order in which they were added. If one of them throws, or returns a
   * promise that rejects, its error is printed with `console.error`, and the others are still called.
   *
   * @example A callback
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * const future = new Future<number>();
   * const seen: number[] = [];
   * future.addDoneCallback((done) => seen.push(done.result()));
   * future.setResult(7);
   * assertEquals(seen, [7]);
   * ```
   *
   * @param fn The function to call, with this future as its argument.
   * @throws {TypeError} If `fn` is not a function.
   */
  addDoneCallback(fn: (future: Future<T>) => void): void {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot add a done callback that is not a function: ${typeName(fn)}`);
    }
    if (this.#sync(false) >= CANCELLED) {
      // Those that were added before come first, also where the event loop has not got to them yet.
      this.#deliver();
      this.#call(fn);
    } else {
      (this.#callbacks ??= []).push(fn);
    }
  }

  /**
   * Adds a function to call with each value that the task gives to {@linkcode reportProgress} from now on, in order.
   *
   * It is called by the event loop, or while this thread blocks in
   * {@linkcode Future.prototype.result | result()}, and no more once the future is done. An error that it throws, or
   * that its promise rejects with, is reported with `console.error`, and stops nothing. Values that have come before
   * are not kept, so add it right after `submit`.
   *
   * @example Hear how far a task has come
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * const count = async (): Promise<void> => {
   *   const { reportProgress } = await import("@concurrent/futures");
   *   for (let i = 1; i <= 3; i++) reportProgress(i);
   * };
   *
   * using pool = new ThreadPoolExecutor(1);
   * const future = pool.submit(count);
   * const heard: unknown[] = [];
   * future.addProgressCallback((value) => void heard.push(value));
   * future.result();
   * assertEquals(heard, [1, 2, 3]);
   * ```
   *
   * @param fn The function to call with each value.
   * @throws {TypeError} If `fn` is not a function.
   */
  addProgressCallback(fn: (value: unknown) => void): void {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot add a progress callback that is not a function: ${typeName(fn)}`);
    }
    // Nobody is asked whether the task is done: what it has said would be collected with its result, and be lost.
    if (this.#state >= CANCELLED) return;
    (this.#progress ??= new Progress(this)).add(fn);
  }

  /**
   * Returns the values that the task gives to {@linkcode reportProgress} from now on, for `for await`.
   *
   * The iteration ends when the future is done, however the task ended; it never throws. A loop that is much slower
   * than the task misses old values: no more than 1,024 wait for it.
   *
   * @example A loop over what a task says
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * const copy = async (files: string[]): Promise<number> => {
   *   const { reportProgress } = await import("@concurrent/futures");
   *   for (const file of files) reportProgress(file);
   *   return files.length;
   * };
   *
   * await using pool = new ThreadPoolExecutor(1);
   * const future = pool.submit(copy, ["a.txt", "b.txt"]);
   * const heard: unknown[] = [];
   * for await (const file of future.progress()) heard.push(file);
   * assertEquals(heard, ["a.txt", "b.txt"]);
   * assertEquals(await future, 2);
   * ```
   *
   * @returns An iterator, for one loop.
   */
  progress(): AsyncIterableIterator<unknown, undefined> {
    return (this.#progress ??= new Progress(this)).iterate(this.#state >= CANCELLED);
  }

  /**
   * Waits for the outcome without blocking: `await future` calls this method.
   *
   * It works as `Promise.prototype.then` does. A cancelled future rejects with a {@linkcode CancelledError}. If nobody
   * waits for a future that fails, no `unhandledrejection` event is dispatched.
   *
   * @typeParam R1 The type that `onfulfilled` returns.
   * @typeParam R2 The type that `onrejected` returns.
   * @param onfulfilled The function to call with the result of the task.
   * @param onrejected The function to call with the error of the task.
   * @returns A promise of what the called function returns.
   */
  then<R1 = T, R2 = never>(
    onfulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onrejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return new Promise<T>((resolve, reject) => {
      this.addDoneCallback(() => {
        if (this.#state === SUCCEEDED) resolve(this.#outcome as T);
        else reject(this.#state === FAILED ? this.#outcome : this.#cancelledError());
      });
    }).then(onfulfilled, onrejected);
  }

  /**
   * Handles the error of the task, as `Promise.prototype.catch` does.
   *
   * @typeParam R The type that `onrejected` returns.
   * @param onrejected The function to call with the error of the task.
   * @returns A promise of the result of the task, or of what the function returns.
   */
  catch<R = never>(
    onrejected?: ((reason: unknown) => R | PromiseLike<R>) | null,
  ): Promise<T | R> {
    return this.then(undefined, onrejected);
  }

  /**
   * Calls a function when the future is done, as `Promise.prototype.finally` does.
   *
   * @param onfinally The function to call, without arguments.
   * @returns A promise of the outcome of the task.
   */
  finally(onfinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onfinally);
  }

  /**
   * Marks the future as running, unless it was cancelled.
   *
   * Authors of executors call it before they run the task. It is also useful in tests.
   *
   * @returns `true` if the task is to be run; `false` if the future was cancelled, at each call.
   * @throws {InvalidStateError} If the future is running or finished.
   */
  setRunningOrNotifyCancel(): boolean {
    if (this.#state === CANCELLED) return false;
    if (this.#state !== PENDING) throw this.#invalidState("start", "PENDING");
    this.#state = RUNNING;
    return true;
  }

  /**
   * Completes the future with the result of the task.
   *
   * It is meant for authors of executors and for tests. The callbacks are called before it returns.
   *
   * @param value The result.
   * @throws {InvalidStateError} If the future is already done; its outcome does not change.
   */
  setResult(value: T): void {
    this.#set(SUCCEEDED, value);
  }

  /**
   * Completes the future with the error of the task.
   *
   * It is meant for authors of executors and for tests. The callbacks are called before it returns.
   *
   * @param error The error. It can be any value, including `undefined`.
   * @throws {InvalidStateError} If the future is already done; its outcome does not change.
   */
  setException(error: unknown): void {
    this.#set(FAILED, error);
  }

  /**
   * Returns a text for people to read, such as `<Future #7 state=finished returned string>`.
   *
   * @returns The text. Its number is unique among the futures of this thread.
   */
  toString(): string {
    const state = this.state;
    let text = state.toLowerCase();
    if (this.#state === SUCCEEDED) text += ` returned ${typeName(this.#outcome)}`;
    if (this.#state === FAILED) text += ` raised ${typeName(this.#outcome)}`;
    const name = this.#control?.name === undefined ? "" : ` name=${this.#control.name}`;
    return `<Future #${this.#serial}${name} state=${text}>`;
  }

  /** The string `"Future"`, which `Object.prototype.toString` uses. */
  get [Symbol.toStringTag](): string {
    return "Future";
  }

  /** Returns the text that `console.log` prints: that of {@linkcode Future.prototype.toString | toString()}. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** Returns the text that Node's `util.inspect` prints: that of {@linkcode Future.prototype.toString | toString()}. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Calls the waiters and callbacks of a settled future; a second call does nothing. */
  #deliver(): void {
    const waiters = this.#waiters;
    const callbacks = this.#callbacks;
    this.#waiters = this.#callbacks = undefined;
    this.#letGo();
    this.#progress?.end();
    if (waiters !== undefined) { for (const waiter of waiters) waiter.completed(this); }
    if (callbacks !== undefined) { for (const fn of callbacks) this.#call(fn as (future: Future<T>) => void); }
  }

  #hasListeners(): boolean {
    return this.#waiters !== undefined || this.#callbacks !== undefined || this.#progress !== undefined;
  }

  /**
   * The state, after a look at how far the worker is.
   *
   * @param isPolled Whether the caller may ask again and again without ever blocking or yielding to the event loop: so
   * that a task which waits for room is handed over, this collects results.
   */
  #sync(isPolled = true): State {
    if (this.#state !== PENDING || this.#owner === undefined) return this.#state;
    let progress = this.#owner.peek(this.#slot);
    // To look may have settled it.
    if (this.#state !== PENDING) return this.#state;
    if (progress === "waiting" && isPolled) {
      this.#owner.collect();
      if (this.#state !== PENDING) return this.#state;
      progress = this.#owner.peek(this.#slot);
    }
    if (progress === "waiting" || progress === "pending") return PENDING;
    if (progress === "done") this.#owner.collect();
    return this.#state === PENDING ? RUNNING : this.#state;
  }

  /** Whether it will be completed while this thread blocks. */
  #canComplete(): boolean {
    return this.#owner !== undefined && (this.#owner.canComplete === undefined || this.#owner.canComplete());
  }

  /** Cancels a pending future without calling its listeners; `false` when a worker has started its task. */
  #revoke(): boolean {
    if (this.#owner !== undefined && !this.#owner.revoke(this.#slot, this)) return false;
    this.#finish(CANCELLED, undefined);
    return true;
  }

  #finish(state: State, outcome: unknown): void {
    this.#state = state;
    this.#outcome = outcome;
  }

  /** From here on, neither does this future keep the program alive, nor does it keep its executor. */
  #letGo(): void {
    if (this.#owner === undefined) return;
    this.#owner = undefined;
    release();
  }

  #set(state: State, outcome: unknown): void {
    if (this.#sync() >= CANCELLED) throw this.#invalidState("complete", "PENDING or RUNNING");
    this.#finish(state, outcome);
    this.#deliver();
  }

  #call(fn: (future: Future<T>) => void): void {
    callBack(fn, this, "a done callback", this);
  }

  #wait(timeout: number | undefined): void {
    const deadline = deadlineAfter(timeout);
    if (this.#state < CANCELLED) {
      // At first it delivers: a callback that is due may complete the future.
      const stop = deadline === Infinity
        ? () => this.#state >= CANCELLED || !this.#canComplete()
        : () => this.#state >= CANCELLED;
      if (!blockUntil(stop, deadline)) {
        throw new TimeoutError(`The future was not done within ${timeout} ms: ${this}`);
      }
      // Read anew: a delivery may have completed it.
      if ((this.#state as State) < CANCELLED) throw hopeless(String(this));
    }
    if (this.#state === CANCELLED) throw this.#cancelledError();
  }

  #abortError(): DOMException {
    const error = new DOMException(`Task was aborted: ${this}`, "AbortError");
    // From the caller on.
    Error.captureStackTrace(error, this.abort);
    this.#control?.origin?.addTo(error);
    return error;
  }

  #cancelledError(): CancelledError {
    const error = new CancelledError(`The future was cancelled: ${this}`);
    this.#control?.origin?.addTo(error);
    return error;
  }

  #invalidState(action: string, wanted: string): InvalidStateError {
    return new InvalidStateError(`Cannot ${action} a future that is not ${wanted} but ${this.state}: ${this}`);
  }
}
