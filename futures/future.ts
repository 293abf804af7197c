/**
 * {@linkcode Future}: the outcome of a task, to be awaited or waited for.
 *
 * On purpose not as in Python: a cancelled future counts as done at once, everywhere; times are milliseconds; blocking
 * on a future that nobody can complete throws instead of hanging.
 *
 * @module
 */

import { deadlineAfter } from "./deadline.ts";
import { CancelledError, InvalidStateError, TimeoutError } from "./errors.ts";
import { befriend, type FutureOwner, type Waiter } from "./_internals.ts";
import { typeName } from "./inspect.ts";
import { blockUntil, deliverLater, deliverNow, deliverWith, hold, release } from "./wakeup.ts";

export { type FutureOwner, internals, type Waiter } from "./_internals.ts";

/** What a future can be: see {@linkcode Future.state}. */
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
 * The outcome of a task that may not have run yet.
 *
 * Executors make futures; making one yourself is for tests and for authors of executors. You can await a future like a
 * promise, or call {@linkcode result}, which blocks the calling thread as Python's does.
 *
 * @example Await it, or block on it
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(1);
 * const future = pool.submit((a: number, b: number) => a + b, 1, 2);
 * assertEquals(future.result(), 3);
 * assertEquals(await future, 3);
 * ```
 *
 * @typeParam T What the task returns.
 * @see Python's manual on Future objects.
 */
export class Future<T> implements PromiseLike<T> {
  #state: State = PENDING;
  #outcome: unknown = undefined;
  #waiters: Waiter[] | undefined = undefined;
  // Typed with T, they would make Future<T> no Future<unknown>.
  #callbacks: unknown[] | undefined = undefined;
  #owner: FutureOwner | undefined = undefined;
  #slot = -1;
  readonly #serial = ++lastSerial;

  static {
    deliverWith((future) => (future as Future<unknown>).#deliver());
    befriend({
      create(owner) {
        const future = new Future<unknown>();
        future.#owner = owner;
        hold();
        return future;
      },
      fail(error) {
        const future = new Future<unknown>();
        future.#finish(FAILED, error);
        return future;
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
      canComplete: (future) => future.#owner !== undefined,
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
   * How far the task is, seen without waiting for a message. It is `RUNNING` only once a worker has really started it.
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
   * Cancels the task unless a worker has started it. A task whose `cancel()` returned `true` never runs, and its future
   * counts as done at once. Callbacks are called before this returns.
   *
   * @returns `false` when the task is running or finished; `true` when it is cancelled, also if it was before.
   */
  cancel(): boolean {
    if (this.#state === CANCELLED) return true;
    if (this.#state !== PENDING || !this.#revoke()) return false;
    this.#deliver();
    return true;
  }

  /** Whether the task was cancelled. */
  cancelled(): boolean {
    return this.#state === CANCELLED;
  }

  /** Whether a worker is running the task now. */
  running(): boolean {
    return this.#sync() === RUNNING;
  }

  /** Whether the task was cancelled, returned or threw. */
  done(): boolean {
    return this.#sync() >= CANCELLED;
  }

  /**
   * Blocks until the task is done. Meanwhile this thread calls the callbacks of futures that finish; its timers and I/O
   * wait.
   *
   * @param timeout Milliseconds to wait; not given: no limit; zero or less: do not wait.
   * @returns What the task returned.
   * @throws What the task threw: the same object each time.
   * @throws {CancelledError} The task was cancelled.
   * @throws {TimeoutError} The time ran out; the task goes on.
   * @throws {InvalidStateError} No timeout, and no executor will ever complete this future.
   * @throws {RangeError} The timeout is `NaN`.
   */
  result(timeout?: number): T {
    this.#wait(timeout);
    if (this.#state === FAILED) throw this.#outcome;
    return this.#outcome as T;
  }

  /**
   * Blocks as {@linkcode result} does, and returns the error instead of throwing it.
   *
   * @param timeout Milliseconds to wait; not given: no limit; zero or less: do not wait.
   * @returns What the task threw, or `null` when it returned.
   * @throws {CancelledError} The task was cancelled.
   * @throws {TimeoutError} The time ran out; the task goes on.
   * @throws {InvalidStateError} No timeout, and no executor will ever complete this future.
   * @throws {RangeError} The timeout is `NaN`.
   */
  exception(timeout?: number): unknown {
    this.#wait(timeout);
    return this.#state === FAILED ? this.#outcome : null;
  }

  /**
   * Calls a function when the future is done, at once if it is already. This thread calls the functions in the order in
   * which they were added. An error of one is reported with `console.error` and stops nothing.
   *
   * @param fn Called with this future.
   * @throws {TypeError} `fn` is not a function.
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
   * Promise behaviour: `await future` is the other half of {@linkcode result}. A cancelled future rejects with a
   * {@linkcode CancelledError}. A failed future that nobody listens to raises no `unhandledrejection`.
   *
   * @param onfulfilled Called with what the task returned.
   * @param onrejected Called with what the task threw.
   * @returns A promise for what the called function returns.
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
   * Promise behaviour.
   *
   * @param onrejected Called with what the task threw.
   * @returns A promise for the value, or for what the called function returns.
   */
  catch<R = never>(
    onrejected?: ((reason: unknown) => R | PromiseLike<R>) | null,
  ): Promise<T | R> {
    return this.then(undefined, onrejected);
  }

  /**
   * Promise behaviour.
   *
   * @param onfinally Called when the future is done.
   * @returns A promise for the value.
   */
  finally(onfinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onfinally);
  }

  /**
   * For tests and authors of executors: call it before you run the task.
   *
   * @returns Whether to run it; `false` for a cancelled future, however often it is asked.
   * @throws {InvalidStateError} The future is running or finished.
   */
  setRunningOrNotifyCancel(): boolean {
    if (this.#state === CANCELLED) return false;
    if (this.#state !== PENDING) throw this.#invalidState("start");
    this.#state = RUNNING;
    return true;
  }

  /**
   * For tests and authors of executors: completes the future. Callbacks are called before this returns.
   *
   * @param value What `result()` returns from now on.
   * @throws {InvalidStateError} The future is already done; the first outcome stays.
   */
  setResult(value: T): void {
    this.#set(SUCCEEDED, value);
  }

  /**
   * For tests and authors of executors: completes the future. Callbacks are called before this returns.
   *
   * @param error What `result()` throws from now on. Anything can be thrown, also a falsy value.
   * @throws {InvalidStateError} The future is already done; the first outcome stays.
   */
  setException(error: unknown): void {
    this.#set(FAILED, error);
  }

  /** Text form, such as `<Future #7 state=finished returned string>`; no other future of the thread has its number. */
  toString(): string {
    const state = this.state;
    let text = state.toLowerCase();
    if (this.#state === SUCCEEDED) text += ` returned ${typeName(this.#outcome)}`;
    if (this.#state === FAILED) text += ` raised ${typeName(this.#outcome)}`;
    return `<Future #${this.#serial} state=${text}>`;
  }

  /** The tag in the default text form of objects. */
  get [Symbol.toStringTag](): string {
    return "Future";
  }

  /** The text form that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** The text form that Node's `util.inspect` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Calls the waiters and callbacks of a settled future; a second call does nothing. */
  #deliver(): void {
    const waiters = this.#waiters;
    const callbacks = this.#callbacks;
    this.#waiters = this.#callbacks = undefined;
    this.#letGo();
    if (waiters !== undefined) { for (const waiter of waiters) waiter.completed(this); }
    if (callbacks !== undefined) { for (const fn of callbacks) this.#call(fn as (future: Future<T>) => void); }
  }

  #hasListeners(): boolean {
    return this.#waiters !== undefined || this.#callbacks !== undefined;
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
    if (progress === "waiting" && isPolled) {
      this.#owner.collect();
      if (this.#state !== PENDING) return this.#state;
      progress = this.#owner.peek(this.#slot);
    }
    if (progress === "waiting" || progress === "pending") return PENDING;
    if (progress === "done") this.#owner.collect();
    return this.#state === PENDING ? RUNNING : this.#state;
  }

  /** Cancels a pending future without calling its listeners; `false` when a worker has started its task. */
  #revoke(): boolean {
    if (this.#owner !== undefined && !this.#owner.revoke(this.#slot)) return false;
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
    if (this.#sync() >= CANCELLED) throw this.#invalidState("complete");
    this.#finish(state, outcome);
    this.#deliver();
  }

  #call(fn: (future: Future<T>) => void): void {
    try {
      fn(this);
    } catch (error) {
      console.error(`Uncaught error in a done callback of ${this}:`, error);
    }
  }

  #wait(timeout: number | undefined): void {
    const deadline = deadlineAfter(timeout);
    if (this.#state < CANCELLED) {
      if (this.#owner === undefined && deadline === Infinity) {
        // A callback that is due may complete it.
        deliverNow();
        if (this.#state < CANCELLED) {
          throw new InvalidStateError(
            `Cannot block without a timeout on a future that no executor completes: ${this}`,
          );
        }
      } else if (!blockUntil(() => this.#state >= CANCELLED, deadline)) {
        throw new TimeoutError(`Future is not done before the timeout of ${timeout} ms: ${this}`);
      }
    }
    if (this.#state === CANCELLED) throw this.#cancelledError();
  }

  #cancelledError(): CancelledError {
    return new CancelledError(`Future was cancelled: ${this}`);
  }

  #invalidState(action: string): InvalidStateError {
    return new InvalidStateError(`Cannot ${action} a future in state ${this.state}: ${this}`);
  }
}
