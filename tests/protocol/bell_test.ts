/** The bell, and the thread that listens to it: no ring is lost, whenever it comes. */
import { assert, assertEquals } from "@std/assert";
import { ARMED, createBell, ring, SEQUENCE, STATE } from "../../futures/bell.ts";
import { Atomics as kept } from "../../futures/builtins.ts";
import { addSource, bell, blockUntil, deliverNow, removeSource, type Source } from "../../futures/wakeup.ts";
import { Status } from "../../executors/_queue/protocol.ts";
import { BOUND, test, within } from "../_helpers.ts";
import { atEachStep, Clock, Interruption } from "./_kit.ts";
import { PlayedPool } from "./_played.ts";

/** How long a wait may take that needs no time at all, in milliseconds: a lost ring is noticed after it. */
const SOON = 2_000;

/** A number in shared memory that others count up, and how far this thread has seen it. */
class Counter implements Source, Disposable {
  readonly shared = new Int32Array(new SharedArrayBuffer(8));
  seen = 0;
  isBusy = () => true;
  #wanted = 0;
  #wake = () => {};

  constructor(readonly ownBell: Int32Array = bell) {}

  publish(): void {
    Atomics.add(this.shared, 0, 1);
  }

  collect(): boolean {
    this.seen = Atomics.load(this.shared, 0);
    if (this.seen >= this.#wanted) this.#wake();
    return false;
  }

  describe(): string {
    return `Counter seen=${this.seen}`;
  }

  /** Resolves when the event loop has brought the number here; rejects when that takes too long. */
  reaches(count: number, what: string): Promise<void> {
    this.#wanted = count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what}: lost`)), SOON);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.seen >= count) this.#wake();
    });
  }

  [Symbol.dispose](): void {
    removeSource(this);
  }
}

/** Whether a consumer in some status has a task in hand. */
const BUSY: [stop: "terminate" | "ask", status: number, isBusy: boolean][] = [
  ...Object.values(Status).map((
    status,
  ): [stop: "terminate", status: number, isBusy: boolean] => ["terminate", status, status === Status.ACTIVE]),
  ["ask", Status.PARKED, true],
];

/** A thread that plays a part, and its answer. */
function play(part: object): { answer: Promise<unknown> } & Disposable {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const answer = new Promise<unknown>((resolve) => worker.onmessage = ({ data }) => resolve(data));
  worker.postMessage(part);
  return { answer, [Symbol.dispose]: () => worker.terminate() };
}

/** Some turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

// ---- ring() -------------------------------------------------------------------------------------------------------

test("ring() wakes an owner in waitAsync, and only counts when the owner does not listen", async () => {
  const bell = createBell();
  ring(bell);
  assertEquals([bell[STATE], bell[SEQUENCE]], [0, 1]);
  Atomics.store(bell, STATE, ARMED);
  const wait = Atomics.waitAsync(bell, STATE, ARMED);
  assert(wait.async);
  ring(bell);
  assertEquals(await within(wait.value, "the waitAsync", SOON), "ok");
  assertEquals([bell[STATE], bell[SEQUENCE]], [0, 2], "it disarms the bell");
});

test("ring() notifies once for a burst", () => {
  const bell = createBell();
  const { notify } = kept;
  let notified = 0;
  kept.notify = ((words: Int32Array, index: number) => {
    notified++;
    return notify(words, index);
  }) as typeof notify;
  try {
    Atomics.store(bell, STATE, ARMED);
    for (let i = 0; i < 1000; i++) ring(bell);
  } finally {
    kept.notify = notify;
  }
  assertEquals([notified, bell[SEQUENCE]], [1, 1000]);
});

for (const pending of [0, 1, 3]) {
  test(`ring() wakes a blocked owner, with ${pending} of its waitAsync pending on the same word`, async () => {
    const bell = createBell();
    const counter = new Int32Array(new SharedArrayBuffer(8));
    Atomics.store(bell, STATE, ARMED);
    const waits = Array.from({ length: pending }, () => Atomics.waitAsync(bell, STATE, ARMED));
    using other = play({ part: "ring", bell, counter, times: 5, pause: 20 });
    for (let i = 1; i <= 5; i++) {
      while (Atomics.load(counter, 0) < i) {
        Atomics.store(bell, STATE, ARMED);
        if (Atomics.load(counter, 0) >= i) break;
        assert(Atomics.wait(bell, STATE, ARMED, BOUND) !== "timed-out", `ring ${i} was lost`);
      }
    }
    for (const { value } of waits) assertEquals(await value, "ok");
    assertEquals(await within(other.answer), "ok");
  });
}

/** Blocks until the counter has reached a number; tells also whether a sleep ended only by its timeout: a lost ring. */
function blockAndWatch(counter: Counter, count: number, ms: number, interrupt: () => Interruption) {
  const { wait } = Atomics;
  let overslept = false;
  Atomics.wait = ((words: Int32Array, index: number, value: number, timeout: number) => {
    const ended = wait(words, index, value, timeout);
    overslept ||= ended === "timed-out";
    return ended;
  }) as typeof wait;
  const deadline = performance.now() + ms;
  const interruption = interrupt();
  try {
    const isDone = blockUntil(() => counter.seen >= count, deadline);
    return { isLost: !isDone || overslept, happened: interruption.happened };
  } finally {
    interruption[Symbol.dispose]();
    Atomics.wait = wait;
  }
}

// ---- blockUntil() -------------------------------------------------------------------------------------------------

for (const [listens, isBusy] of [[false, true], [true, true], [false, false], [true, false]]) {
  const where = `${listens ? "with the event loop listening as well" : "with the bell not armed"}` +
    `${isBusy ? "" : ", and nobody is busy"}`;

  test(`blockUntil() misses no ring, whenever it comes while it goes to sleep, ${where}`, async () => {
    using counter = new Counter();
    counter.isBusy = () => isBusy;
    addSource(counter);
    let expected = 0;
    const steps = await atEachStep((at) => {
      expected++;
      if (!listens) Atomics.store(bell, STATE, 0);
      const interrupt = () =>
        new Interruption(at, () => {
          counter.publish();
          ring(bell);
        });
      const { isLost, happened } = blockAndWatch(counter, expected, 1_000, interrupt);
      if (!happened) return false;
      assert(!isLost, `the ring before step ${at} was lost`);
      return true;
    });
    // The count, the look at the source, the clock, the spinning, the arming, the second look, the sleep.
    assert(steps > 20, `${steps} steps`);
  });
}

test("blockUntil() sees what is published at one step and rung at a later one", async () => {
  using counter = new Counter();
  addSource(counter);
  let expected = 0;
  let slept = 0;
  await atEachStep(async (first) => {
    let happened = false;
    await atEachStep((second) => {
      expected++;
      Atomics.store(bell, STATE, 0);
      let inner: Interruption | undefined;
      const interrupt = () =>
        new Interruption(first, () => {
          counter.publish();
          happened = true;
          inner = new Interruption(second, () => ring(bell));
        });
      const { isLost } = blockAndWatch(counter, expected, 100, interrupt);
      inner?.[Symbol.dispose]();
      deliverNow();
      if (!inner?.happened) {
        // Not rung: it was found without, or slept over.
        if (isLost) slept++;
        return false;
      }
      assert(!isLost, `published before step ${first}, rung ${second} steps later: lost`);
      return true;
    });
    return happened;
  });
  assert(slept > 10, "it sleeps when nobody rings, and so every step up to there was tried");
});

test("blockUntil() gives up at its deadline, and finds what was there before", () => {
  using counter = new Counter();
  const start = performance.now();
  assertEquals(blockUntil(() => false, start + 30), false);
  assert(performance.now() - start >= 29);
  counter.publish();
  addSource(counter);
  assertEquals(blockUntil(() => counter.seen === 1, 0), true, "it looks before it gives up");
});

/**
 * How many milliseconds a blocked thread polls before it sleeps, by a clock on which each atomic look takes a
 * twentieth of a microsecond.
 */
function pollsFor(isBusy: (ms: number) => boolean): number {
  using clock = new Clock();
  const start = performance.now();
  const { load, wait } = Atomics;
  let polled: number | undefined;
  const source: Source = {
    collect: () => false,
    describe: () => "",
    isBusy: () => isBusy(performance.now() - start),
  };
  addSource(source);
  Atomics.load = ((words: Int32Array, index: number) => {
    clock.pass(0.00005);
    return load(words, index);
  }) as typeof load;
  Atomics.wait = (_words: unknown, _index: unknown, _value: unknown, ms?: number) => {
    polled ??= performance.now() - start;
    clock.pass(ms!);
    return "timed-out" as const;
  };
  try {
    assertEquals(blockUntil(() => false, start + 1), false);
  } finally {
    Object.assign(Atomics, { load, wait });
    removeSource(source);
  }
  return polled!;
}

test("blockUntil() polls while somebody is busy, and shortly where nobody is: they need a core for that", () => {
  const idle = pollsFor(() => false);
  assert(idle >= 0.005 && idle < 0.02, `nobody begins: it polls for ${idle} ms`);
  const begun = pollsFor((ms) => ms > 0.003);
  assert(begun >= 0.05 && begun < 0.07, `somebody has begun in time: it polls for ${begun} ms`);
  const between = pollsFor((ms) => ms % 0.01 < 0.008);
  assert(between >= 0.05 && between < 0.07, `somebody is between two tasks at times: it polls for ${between} ms`);
  const ended = pollsFor((ms) => ms < 0.03);
  assert(ended >= 0.03 && ended < 0.045, `nobody is busy any more: it polls for ${ended} ms`);
});

test("blockUntil() polls for a broker whatever that does, and for a thread by its status", () => {
  for (const [stop, status, isBusy] of BUSY) {
    using played = new PlayedPool(stop);
    void played.submit(1);
    const { statuses } = played.worker.queue.parking;
    statuses[0] = status;
    assertEquals(played.pool.isBusy(), isBusy, `${stop} ${status}`);
    statuses[0] = Status.AWAY;
  }
});

// ---- the event loop -----------------------------------------------------------------------------------------------

test("addSource() misses no ring that another thread is in the midst of", async () => {
  const steps = await atEachStep(async (at) => {
    using counter = new Counter();
    // With no source left, the event loop does not listen again.
    ring(bell);
    await turns(2);
    assertEquals(bell[STATE], 0);
    counter.publish();
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => addSource(counter));
      ring(bell);
      happened = interruption.happened;
    }
    if (!happened) return false;
    await counter.reaches(1, `a ring whose step ${at} came after`);
    return true;
  });
  assert(steps >= 2, `${steps} steps`);
});

test("ring() is not lost on the event loop while a blocking call collects in the midst of it", async () => {
  using counter = new Counter();
  addSource(counter);
  let expected = 0;
  const steps = await atEachStep(async (at) => {
    counter.publish();
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => {
        deliverNow();
        counter.publish();
      });
      ring(bell);
      happened = interruption.happened;
    }
    if (!happened) return false;
    ring(bell);
    await counter.reaches(expected += 2, `rings around a blocking call before step ${at}`);
    return true;
  });
  assert(steps >= 4, `${steps} steps`);
});

test("the event loop misses no ring, whenever it comes while another is dealt with", async () => {
  using counter = new Counter();
  addSource(counter);
  await turns(2);
  let expected = 0;
  const steps = await atEachStep(async (at) => {
    counter.publish();
    ring(bell);
    let happened: boolean;
    {
      // During the turns that collect, deliver and listen anew.
      using interruption = new Interruption(at, () => {
        counter.publish();
        ring(bell);
      });
      await turns(3);
      happened = interruption.happened;
    }
    await counter.reaches(expected += happened ? 2 : 1, `a ring before step ${at}`);
    return happened;
  });
  assert(steps >= 4, `${steps} steps`);
});

test("the event loop and blocking calls hear 100,000 rings of another thread, one after the other", async () => {
  const ROUNDS = 100_000;
  using counter = new Counter();
  addSource(counter);
  const ball = counter.shared;
  // The other thread answers in the word that the counter collects.
  using other = play({ part: "echo", bell, ball: new Int32Array(ball.buffer), rounds: ROUNDS });
  for (let i = 1; i <= ROUNDS; i++) {
    Atomics.store(ball, 1, i);
    Atomics.notify(ball, 1);
    // Now and then several of one kind, so that each follows each.
    if ((i & 1) === 0 || (i & 56) === 0) {
      assert(blockUntil(() => counter.seen >= i, performance.now() + SOON), `blocked: ring ${i} was lost`);
    } else {
      await counter.reaches(i, `awaited: ring ${i}`);
    }
  }
  assertEquals(await within(other.answer), "ok");
}, { bound: 60_000 });

test("the event loop and blocking calls hear the end of each burst", async () => {
  const TIMES = 200_000;
  using counter = new Counter();
  addSource(counter);
  using one = play({ part: "ring", bell, counter: counter.shared, times: TIMES, pause: 0 });
  using two = play({ part: "ring", bell, counter: counter.shared, times: TIMES, pause: 0 });
  while (counter.seen < 2 * TIMES) {
    const { seen } = counter;
    assert(blockUntil(() => counter.seen > seen, performance.now() + BOUND), `blocked: a ring after ${seen} was lost`);
    await counter.reaches(Math.min(counter.seen + 1000, 2 * TIMES), `awaited: a ring after ${seen}`);
  }
  assertEquals(await within(Promise.all([one.answer, two.answer])), ["ok", "ok"]);
});
