/** Makes short random histories of calls of one object on several threads, and looks whether they are linearizable. */
import { fail } from "@std/assert";
import { ThreadPoolExecutor } from "@concurrent/futures";
import {
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  QueueEmptyError,
  QueueFullError,
  RLock,
  Semaphore,
} from "@concurrent/futures/sync";
import { Random } from "../_random.ts";
import { type Call, linearize, lockModel, type Model, queueModel, semaphoreModel, show } from "./_linear.ts";

/** How many threads make a history, and how many calls each. */
const THREADS = 3;
const CALLS = 6;
/** How many histories a task takes part in. */
const BATCH = 20;

/** What threads count together: the moments, and who has come to which history. */
type Clock = Int32Array;
const NOW = 0;
const ARRIVED = 1;
const NEVER = 2;

/** The kinds of objects, with their sequential models. */
export const SUBJECTS: Record<string, { make(): object; readonly model: Model<unknown> }> = {
  Lock: { make: () => new Lock(), model: lockModel as Model<unknown> },
  RLock: { make: () => new RLock(), model: lockModel as Model<unknown> },
  Semaphore: { make: () => new Semaphore(2), model: semaphoreModel(2) as Model<unknown> },
  Queue: { make: () => new Queue(2, { memory: 8192 }), model: queueModel(2, "Queue") as Model<unknown> },
  LifoQueue: { make: () => new LifoQueue(2, { memory: 8192 }), model: queueModel(2, "LifoQueue") as Model<unknown> },
  PriorityQueue: {
    make: () => new PriorityQueue(2, { memory: 8192 }),
    model: queueModel(2, "PriorityQueue") as Model<unknown>,
  },
};

/** What a lock that is broken on purpose lets tests see: it looks whether it is free, and then takes it. */
export class CarelessLock {
  readonly words: Int32Array;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(4))) {
    this.words = words;
  }

  acquire(): boolean {
    if (Atomics.load(this.words, 0) !== 0) return false;
    for (let i = 0; i < 200; i++) Atomics.load(this.words, 0);
    Atomics.store(this.words, 0, 1);
    return true;
  }

  release(): void {
    Atomics.store(this.words, 0, 0);
  }
}

/** One thread's part of several histories: what it called, and when. */
export async function takePart(
  objects: readonly unknown[],
  clock: Clock,
  thread: number,
  seed: number,
): Promise<Call[][]> {
  const random = new Random(seed);
  const histories: Call[][] = [];
  for (const [i, object] of objects.entries()) {
    const calls: Call[] = [];
    const actor = actorFor(object, random, thread);
    // All begin together: on few CPUs others would have ended before.
    Atomics.add(clock, ARRIVED, 1);
    for (let looks = 0; Atomics.load(clock, ARRIVED) < (i + 1) * THREADS; looks++) {
      // The others may need this CPU.
      if (looks > 500) Atomics.wait(clock, NEVER, 0, 0.02);
    }
    for (let n = 0;; n++) {
      const act = actor(n);
      if (act === undefined) break;
      const { what, given, call } = act;
      const begin = Atomics.add(clock, NOW, 1);
      const result = await call();
      calls.push({ thread, begin, end: Atomics.add(clock, NOW, 1), what, given, result });
      for (let spin = random.below(100); spin > 0; spin--) Atomics.load(clock, NOW);
    }
    histories.push(calls);
  }
  return histories;
}

interface Act {
  readonly what: string;
  readonly given?: unknown;
  call(): unknown;
}

/** How long a call waits, in milliseconds: not at all, or a little, blocked or awaited. */
const TIMEOUTS = [0, 0, 1];

/** What a thread does next with an object; `undefined` when it has done enough, and holds nothing any more. */
function actorFor(object: unknown, random: Random, thread: number): (n: number) => Act | undefined {
  if (object instanceof Queue) return (n) => n < CALLS ? queueAct(object, random, thread * 100 + n) : undefined;
  const words = object as Int32Array;
  const lock = words instanceof Int32Array ? new CarelessLock(words) as never as Lock : object as Lock;
  let held = 0;
  const isLimited = !(object instanceof Semaphore);
  return (n) => {
    if (held === 0 && n >= CALLS) return undefined;
    if (held > 0 && (isLimited || n >= CALLS || random.below(2) === 0)) {
      held--;
      return { what: "release", call: () => lock.release() };
    }
    // All that have a lock release it, so nobody waits for ever.
    const timeout = random.of(isLimited ? [...TIMEOUTS, undefined] : TIMEOUTS);
    const isAwaited = !(words instanceof Int32Array) && random.below(3) === 0;
    return {
      what: "acquire",
      given: timeout,
      async call() {
        const isTaken = isAwaited ? await lock.acquireAsync(timeout) : lock.acquire(timeout);
        if (isTaken) held++;
        return isTaken;
      },
    };
  };
}

function queueAct(queue: Queue, random: Random, n: number): Act {
  const timeout = random.of(TIMEOUTS);
  const isAwaited = random.below(3) === 0;
  const ends: [string, new (message: string) => Error][] = [["full", QueueFullError], ["empty", QueueEmptyError]];
  const outcomeOf = async (call: () => unknown) => {
    try {
      return await call();
    } catch (error) {
      return ends.find(([, Class]) => error instanceof Class)?.[0] ??
        ((error as Error).name === "QueueShutDownError" ? "shut" : String(error));
    }
  };
  const chance = random.below(40);
  if (chance === 0) return { what: "shutdown", call: () => queue.shutdown() };
  if (chance % 2 === 0) {
    const item = queue instanceof PriorityQueue ? [random.below(3), n] : n;
    return {
      what: "put",
      given: item,
      call: () => outcomeOf(() => isAwaited ? queue.putAsync(item, timeout) : queue.put(item, timeout)),
    };
  }
  return { what: "get", call: () => outcomeOf(() => isAwaited ? queue.getAsync(timeout) : queue.get(timeout)) };
}

/** Makes histories until so many were checked, or until one is not linearizable, which is returned. */
export async function checkHistories(
  make: () => unknown,
  model: Model<unknown>,
  count: number,
  random: Random,
): Promise<Call[] | undefined> {
  await using pool = new ThreadPoolExecutor(THREADS);
  for (let done = 0; done < count; done += BATCH) {
    const objects = Array.from({ length: BATCH }, make);
    const clock = new Int32Array(new SharedArrayBuffer(12));
    const parts = await Promise.all(
      Array.from({ length: THREADS }, (_, i) => pool.submit(takePart, objects, clock, i, random.below(2 ** 31))),
    );
    for (let i = 0; i < BATCH; i++) {
      const calls = parts.flatMap((histories) => histories[i]);
      if (linearize(calls, model) === undefined) return calls;
    }
  }
  return undefined;
}

/** Fails when a history of a kind of object is not linearizable. */
export async function assertLinearizable(kind: string, count: number, random: Random): Promise<void> {
  const { make, model } = SUBJECTS[kind];
  const calls = await checkHistories(make, model, count, random);
  if (calls !== undefined) fail(`no order explains this history of a ${kind}:\n${show(calls)}`);
}
