/** What tests of the worker protocol share: payloads, consumers on this thread, interruptions between any two steps. */
import { createBell } from "../../futures/bell.ts";
import * as kept from "../../futures/builtins.ts";
import { Consumer } from "../../executors/_queue/consumer.ts";
import { createLife } from "../../executors/_queue/holders.ts";
import { DECODED } from "../../executors/_queue/posted.ts";
import { type ConsumerStart, type PoolMemory, type PostedResult, TaskState } from "../../executors/_queue/protocol.ts";
import { ResultRing } from "../../executors/_queue/ring.ts";
import { createPoolMemory, TaskQueue } from "../../executors/_queue/task_queue.ts";
import type { Memory, Payload } from "../../executors/_values/memory.ts";
import { Encoded, Encoding } from "../../executors/_values/encoded.ts";

/** A payload of `size` bytes, all of them `fill`, that asks for `room`. */
export class Bytes implements Payload {
  readonly encoding = 3;

  constructor(readonly size: number, readonly fill: number = 0, readonly room: number = size) {}

  write({ bytes }: Memory, offset: number): number {
    bytes.fill(this.fill, offset, offset + this.size);
    return this.size;
  }
}

/** Whether all bytes of a payload are `fill`. */
export function isFilled({ bytes }: Memory, offset: number, byteLength: number, fill: number): boolean {
  for (let i = 0; i < byteLength; i++) {
    if (bytes[offset + i] !== fill) return false;
  }
  return true;
}

/** An encoded number. */
export function numberPayload(value: number): Encoded {
  return new Encoded(Encoding.NUMBER, "", value);
}

/** The objects whose operations are intercepted: that of the global scope, and what the library keeps of it. */
const ATOMICS: object[] = [Atomics, kept.Atomics];
const CLOCKS: { now(): number }[] = [performance, kept.performance];

/** A clock that stands still, for who looks at it by `performance.now()` and never sleeps. */
export class Clock implements Disposable {
  #now = performance.now();
  readonly #before = CLOCKS.map((clock) => Object.getOwnPropertyDescriptor(clock, "now"));

  constructor() {
    for (const clock of CLOCKS) {
      Object.defineProperty(clock, "now", { configurable: true, writable: true, value: () => this.#now });
    }
  }

  /** So many milliseconds pass. */
  pass(ms: number): void {
    this.#now += ms;
  }

  [Symbol.dispose](): void {
    for (const [i, clock] of CLOCKS.entries()) {
      const before = this.#before[i];
      if (before === undefined) delete (clock as { now?: unknown }).now;
      else Object.defineProperty(clock, "now", before);
    }
  }
}

const INTERCEPTED = [
  "load",
  "store",
  "add",
  "sub",
  "compareExchange",
  "notify",
  "wait",
  "waitAsync",
] as const;

/**
 * Does something on behalf of another thread at one step of this one: before or after one of its atomic operations,
 * before a look at the clock, or at a {@linkcode step}. Tests that run a scenario once for each step see every moment
 * at which the other thread could come in between. Each look at the clock puts it forward by a millisecond, so that
 * spinning ends soon, and after as many steps each time.
 */
export class Interruption implements Disposable {
  /** How many steps there have been. */
  steps = 0;
  /** Called before each step. */
  atEach: () => void = () => {};
  #ended = false;
  readonly #at: number;
  readonly #action: () => void;
  readonly #before = [...ATOMICS, ...CLOCKS].map((object) => ({
    object,
    properties: Object.entries(Object.getOwnPropertyDescriptors(object)),
  }));
  readonly #outer: Interruption | undefined = active;

  constructor(at: number, action: () => void) {
    this.#at = at;
    this.#action = action;
    active = this;
    // One that an interruption sets goes on with its clock.
    if (!isActing) ahead = 0;
    for (const name of INTERCEPTED) {
      const original = Atomics[name] as (...args: unknown[]) => unknown;
      const intercepted = (...args: unknown[]) => {
        step();
        // A thread that sleeps is at no step.
        if (name === "wait") active?.[Symbol.dispose]();
        const result = original(...args);
        step();
        return result;
      };
      for (const object of ATOMICS) Object.assign(object, { [name]: intercepted });
    }
    const now = performance.now.bind(performance);
    for (const clock of CLOCKS) {
      clock.now = () => {
        step();
        return now() + ahead++;
      };
    }
  }

  /** Whether there were enough steps for the action to be done. */
  get happened(): boolean {
    return this.steps >= this.#at;
  }

  take(): void {
    this.atEach();
    if (++this.steps !== this.#at) return;
    this[Symbol.dispose]();
    isActing = true;
    try {
      this.#action();
    } finally {
      isActing = false;
    }
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    active = this.#outer;
    for (const { object, properties } of this.#before) {
      // What it inherits again, such as the clock of the global scope, unless another clock has its place.
      if (!properties.some(([name]) => name === "now")) delete (object as { now?: unknown }).now;
      for (const [name, descriptor] of properties) Object.defineProperty(object, name, descriptor);
    }
  }
}

let active: Interruption | undefined;
let ahead = 0;
let isActing = false;

/** A step of its own, for what is neither an atomic operation nor a look at the clock. */
export function step(): void {
  active?.take();
}

/**
 * Runs `scenario` with an interruption before its first step, then before its second, and so on, until it has
 * no more steps.
 *
 * @returns How many there were.
 */
export async function atEachStep(scenario: (at: number) => Promise<boolean> | boolean): Promise<number> {
  for (let at = 1;; at++) {
    if (!await scenario(at)) return at - 1;
    if (at > 1000) throw new Error("The scenario does not come to an end");
  }
}

/** What a consumer gets when it starts: what is not given is as for the first one of a pool, before any task. */
export function startWith(
  parts: Pick<ConsumerStart, "memory" | "results" | "port" | "bell"> & Partial<ConsumerStart>,
): ConsumerStart {
  const life = createLife();
  return { index: 0, serial: 0, life, definitions: [], shared: new Map(), bound: new Map(), ...parts };
}

/** The memory of a pool, and consumers of it on this thread. */
export class Bench {
  readonly memory: PoolMemory;
  readonly queue: TaskQueue;
  readonly bell: Int32Array = createBell();
  readonly consumers: Consumer[] = [];
  readonly rings: ResultRing[] = [];
  /** Results that were posted, by consumer, in the order in which they arrive here. */
  readonly ports: { receive(): PostedResult | undefined }[] = [];

  readonly #form: typeof DECODED;

  /** @param form How consumers want what tasks carry: threads run tasks, brokers pass them on. */
  constructor(consumers: number, form = DECODED) {
    this.memory = createPoolMemory(consumers);
    this.queue = new TaskQueue(this.memory);
    this.#form = form;
    for (let index = 0; index < consumers; index++) this.enter(index);
  }

  /** Gives an index to a new consumer. */
  enter(index: number): void {
    const posted: PostedResult[] = [];
    const port = {
      postMessage: (message: unknown, list: Transferable[]) => {
        step();
        posted.push(structuredClone(message, { transfer: list }) as PostedResult);
        step();
      },
    } as unknown as MessagePort;
    const results = ResultRing.create();
    const start = startWith({ memory: this.memory, index, serial: index, results, port, bell: this.bell });
    // The owner closes the ring of who left before another one begins under its index.
    this.rings[index]?.close();
    this.queue.parking.enter(index);
    this.rings[index] = new ResultRing(results);
    this.ports[index] = { receive: () => posted.shift() };
    this.consumers[index] = new Consumer(start, this.#form);
  }

  /** Owner: queues a task with one number. */
  push(slot: number, value = 0, unfinished?: number): boolean {
    Atomics.store(this.queue.slots, slot, TaskState.PENDING);
    if (!this.queue.push(slot, 0, Encoding.NUMBER, 0, numberPayload(value))) return false;
    this.queue.parking.wake(unfinished);
    return true;
  }
}
