/**
 * What a task says of its progress, on its way to who listens to that.
 *
 * @module
 */

/** How many values wait for a loop that is slower than its task, at the most; then the oldest ones go. */
const MAX_WAITING = 1024;

/** Calls a callback of a future. An error that it throws, or rejects with later, is printed, and stops nothing. */
export function callBack<T>(fn: (argument: T) => unknown, argument: T, what: string, future: unknown): void {
  const report = (error: unknown) => console.error(`Uncaught error in ${what} of ${future}:`, error);
  try {
    const returned = fn(argument);
    // An asynchronous function; nobody else looks at its promise, and a rejection would end the program.
    if (returned instanceof Promise) returned.catch(report);
  } catch (error) {
    report(error);
  }
}

/** The progress of one task: its callbacks, and the loops over it. */
export class Progress {
  readonly #future: unknown;
  readonly #callbacks: ((value: unknown) => void)[] = [];
  readonly #loops = new Set<Loop>();
  /** What has been taken in and not yet delivered. */
  readonly #values: unknown[] = [];

  constructor(future: unknown) {
    this.#future = future;
  }

  /** Adds a callback. */
  add(fn: (value: unknown) => void): void {
    this.#callbacks.push(fn);
  }

  /** Begins a loop. */
  iterate(isEnded: boolean): AsyncIterableIterator<unknown, undefined> {
    const loop = new Loop(() => this.#loops.delete(loop));
    if (isEnded) loop.end();
    else this.#loops.add(loop);
    return loop;
  }

  /** Takes in a value; returns whether somebody has to be told of it by {@linkcode deliver}, who has not been asked. */
  take(value: unknown): boolean {
    if (this.#callbacks.length === 0 && this.#loops.size === 0) return false;
    return this.#values.push(value) === 1;
  }

  /** Delivers what has been taken in. */
  deliver(): void {
    // Taken out first, as a callback that blocks delivers the rest itself.
    while (this.#values.length > 0) this.#tell(this.#values.shift());
  }

  #tell(value: unknown): void {
    for (const loop of this.#loops) loop.push(value);
    for (const fn of [...this.#callbacks]) callBack(fn, value, "a progress callback", this.#future);
  }

  /** The task is done: what it has said is delivered before its future is. */
  end(): void {
    this.deliver();
    for (const loop of this.#loops) loop.end();
    this.#loops.clear();
    this.#callbacks.length = 0;
  }
}

/** A `for await` loop over a task's progress. */
class Loop implements AsyncIterableIterator<unknown, undefined> {
  readonly #onEnd: () => void;
  readonly #values: unknown[] = [];
  #takers: ((result: IteratorResult<unknown, undefined>) => void)[] = [];
  #isEnded = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(value: unknown): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) taker({ done: false, value });
    else if (this.#values.push(value) > MAX_WAITING) this.#values.shift();
  }

  end(): void {
    this.#isEnded = true;
    for (const taker of this.#takers.splice(0)) taker({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#values.length > 0) return Promise.resolve({ done: false, value: this.#values.shift() });
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#values.length = 0;
    this.#onEnd();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
