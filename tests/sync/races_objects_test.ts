/**
 * The races of semaphores, queues, barriers, conditions and events, each forced, and who is dead. What each race is
 * about is told in executors/sync/INTERNALS.md. Over 400 lines: one story after the other.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { performance } from "../../futures/builtins.ts";
import { createLife, endLife, holder, HolderState, holding, live, stateOf } from "../../executors/_queue/holders.ts";
import { decodeValue, encodeValue } from "../../executors/_values/codec.ts";
import { BARRIER_WORDS, BarrierCore, Cause } from "../../executors/sync/_barrier_core.ts";
import { CONDITION_WORDS, ConditionCore } from "../../executors/sync/_condition_core.ts";
import { EVENT_WORDS, EventCore } from "../../executors/sync/_event_core.ts";
import type { Order } from "../../executors/sync/_items.ts";
import type { Steps } from "../../executors/sync/_pause.ts";
import { QUEUE_WORDS, QueueCore } from "../../executors/sync/_queue_core.ts";
import { SEMAPHORE_WORDS, SemaphoreCore } from "../../executors/sync/_semaphore_core.ts";
import {
  BrokenBarrierError,
  BrokenLockError,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
} from "../../executors/sync/errors.ts";
import { coreOf, Lock, type LockCore, RLock } from "../../executors/sync/lock.ts";
import { block } from "../../executors/sync/_pause.ts";
import { test } from "../_helpers.ts";
import { atEachStep, Clock, Interruption } from "../protocol/_kit.ts";
import { memory, Party, raceAtEachStep, raceBoth, settle, thrownBy, valueOf, Waiting } from "./_kit.ts";

/** One that sleeps, and whose deadline has just passed. */
function sleepUntil<R>(clock: Clock, party: Party, start: (deadline: number) => Steps<R>): Waiting<R> {
  const deadline = performance.now() + 50;
  const wait = new Waiting(party, () => start(deadline)).go();
  assert(wait.sleeps);
  clock.pass(50);
  return wait;
}

const parties = (n: number): Party[] => Array.from({ length: n }, () => new Party());

// Semaphores

function semaphore(value: number): SemaphoreCore {
  const core = new SemaphoreCore(memory(SEMAPHORE_WORDS), "Semaphore");
  core.init(value);
  return core;
}

test("a permit that is given back while one comes for it is taken by that one, once", async () => {
  const steps = await raceBoth(() => {
    const core = semaphore(1);
    const [has, comes, third] = parties(3);
    assert(has.as(() => block(core.take(0))));
    const wait = new Waiting(comes, () => core.take(Infinity));
    return {
      wait,
      other: new Waiting(has, () => core.give(1)),
      check() {
        assert(valueOf(wait));
        assert(!third.as(() => block(core.take(0))), "two have it");
        comes.as(() => block(core.give(1)));
        assert(third.as(() => block(core.take(0))), "it is lost");
      },
    };
  });
  assert(steps > 20, `${steps} steps`);
});

test("of two that come for one permit one has it, and the other one waits", async () => {
  await raceBoth(() => {
    const core = semaphore(1);
    const [a, b] = parties(2);
    const [wait, other] = [a, b].map((party) => new Waiting(party, () => core.take(0)));
    return { wait, other, check: () => assertEquals([valueOf(wait), valueOf(other)].sort(), [false, true]) };
  });
});

test("one whose deadline passes while it gets a permit has it, or it is free", async () => {
  using clock = new Clock();
  await raceBoth(() => {
    const core = semaphore(0);
    const [waits, gives] = parties(2);
    const wait = sleepUntil(clock, waits, (deadline) => core.take(deadline));
    return {
      wait,
      other: new Waiting(gives, () => core.give(1)),
      check: () => assertEquals(gives.as(() => block(core.take(0))), !valueOf(wait)),
    };
  });
});

test("one that holds the last permit and dies breaks the semaphore for who comes, at any step", async () => {
  await raceAtEachStep(() => {
    const core = semaphore(1);
    const [dies, comes] = parties(2);
    assert(dies.as(() => block(core.take(0))));
    const wait = new Waiting(comes, () => core.take(Infinity));
    return {
      wait,
      // Nobody wakes up one that sleeps.
      looksAgain: true,
      act: () => dies.die(),
      check: () => assertEquals(thrownBy(wait), BrokenLockError),
    };
  });
});

test("one that has died with a permit breaks nothing while there are others", () => {
  const core = semaphore(2);
  const [dies, other] = parties(2);
  assert(dies.as(() => block(core.take(0))));
  dies.die();
  assert(other.as(() => block(core.take(0))));
  const wait = new Waiting(dies, () => core.take(0));
  wait.go();
  assertEquals(thrownBy(wait), BrokenLockError, "the dead one takes nothing");
  assertThrows(() => other.as(() => block(core.take(0))), BrokenLockError);
  other.as(() => block(core.give(2)));
  assert(other.as(() => block(core.take(0))), "somebody has given back what the dead one had");
});

test("a permit that was given to one that dies goes to the one behind it", () => {
  const core = semaphore(0);
  const [dies, next, gives] = parties(3);
  const [first, second] = [dies, next].map((party) => new Waiting(party, () => core.take(Infinity)).go());
  gives.as(() => block(core.give(1)));
  assert(!first.sleeps && second.sleeps);
  dies.die();
  // It looks now and then.
  second.go();
  settle("the second one", second);
  assert(valueOf(second));
});

test("those who come later do not take a permit that was given to one that has not woken up yet", () => {
  const core = semaphore(1);
  const [waits, other] = parties(2);
  assert(other.as(() => block(core.take(0))));
  const wait = new Waiting(waits, () => core.take(Infinity)).go();
  other.as(() => block(core.give(1)));
  assert(!other.as(() => block(core.take(0))));
  settle("it", wait);
  assert(valueOf(wait));
});

test("what is left of a task that was cut off takes no permit from the one that has its entry now", () => {
  const core = semaphore(0);
  const [left, other, gives] = parties(3);
  const wait = new Waiting(left, () => core.take(Infinity)).go();
  left.cutOff();
  const next = new Waiting(other, () => core.take(Infinity)).go();
  gives.as(() => block(core.give(1)));
  wait.go();
  settle("both", wait, next);
  assertEquals([thrownBy(wait), valueOf(next)], [BrokenLockError, true]);
});

// Queues

function queue({ maxsize = 0, bytes = 4096, order = "FIFO" as Order } = {}) {
  const core = new QueueCore(memory(QUEUE_WORDS + bytes / 4), "Queue", order);
  core.init(maxsize);
  const payloadOf = (item: unknown) => encodeValue(item, { root: "item", sameProcess: true, isStored: true });
  return {
    core,
    put: (item: unknown, deadline = Infinity) => core.put(payloadOf(item), 0, deadline),
    *get(deadline = Infinity): Steps<unknown> {
      return decodeValue((yield* core.get(deadline)).payload);
    },
  };
}

test("an item that is put in while one comes for it goes to that one, once", async () => {
  const steps = await raceBoth(() => {
    const { core, put, get } = queue();
    const [gets, puts] = parties(2);
    const wait = new Waiting(gets, () => get());
    return {
      wait,
      other: new Waiting(puts, () => put("item")),
      check: () => assertEquals([valueOf(wait), core.size], ["item", 0]),
    };
  });
  assert(steps > 20, `${steps} steps`);
});

test("of two that come for one item one gets it", async () => {
  await raceBoth(() => {
    const { put, get } = queue();
    const [a, b] = parties(2);
    a.as(() => block(put("item")));
    const [wait, other] = [a, b].map((party) => new Waiting(party, () => get(0)));
    return {
      wait,
      other,
      check() {
        assertEquals([wait, other].filter((each) => thrownBy(each) === QueueEmptyError).length, 1);
        assertEquals([wait, other].filter((each) => thrownBy(each) === undefined).map(valueOf), ["item"]);
      },
    };
  });
});

test("an item finds room in a full queue while another one is taken out, and there are never too many", async () => {
  await raceBoth(() => {
    const { core, put, get } = queue({ maxsize: 1 });
    const [puts, gets] = parties(2);
    puts.as(() => block(put("first")));
    const wait = new Waiting(puts, () => put("second"));
    const other = new Waiting(gets, () => get());
    return {
      wait,
      other,
      check() {
        valueOf(wait);
        assertEquals([valueOf(other), core.size], ["first", 1]);
        assertEquals(gets.as(() => block(get(0))), "second");
      },
    };
  });
});

test("one whose deadline passes while an item comes has it, or it stays in the queue", async () => {
  using clock = new Clock();
  await raceBoth(() => {
    const { core, put, get } = queue();
    const [gets, puts] = parties(2);
    const wait = sleepUntil(clock, gets, get);
    return {
      wait,
      other: new Waiting(puts, () => put("item")),
      check: () => assertEquals(core.size, thrownBy(wait) === QueueEmptyError ? 1 : 0),
    };
  });
});

test("one whose deadline passes while room comes has put its item in, or the next one finds the room", async () => {
  using clock = new Clock();
  await raceBoth(() => {
    const { core, put, get } = queue({ maxsize: 1 });
    const [puts, gets, next] = parties(3);
    puts.as(() => block(put("first")));
    const wait = sleepUntil(clock, puts, (deadline) => put("second", deadline));
    return {
      wait,
      other: new Waiting(gets, () => get()),
      check() {
        const isFull = thrownBy(wait) === QueueFullError;
        assertEquals(core.size, isFull ? 0 : 1);
        if (isFull) next.as(() => block(put("third", 0)));
      },
    };
  });
});

test("a shutdown ends a wait for an item, at whatever step it comes", async () => {
  await raceBoth(() => {
    const { core, get } = queue();
    const [gets, ends] = parties(2);
    const wait = new Waiting(gets, () => get());
    const other = new Waiting(ends, () => core.shutDown(false));
    return { wait, other, check: () => assertEquals(thrownBy(wait), QueueShutDownError) };
  });
});

test("a queue that is shut down gives what it has, also where another one was told of it", () => {
  const { core, put, get } = queue();
  const [told, later, other] = parties(3);
  const getter = new Waiting(told, () => get()).go();
  other.as(() => block(put("item")));
  other.as(() => block(core.shutDown(false)));
  assertEquals(later.as(() => block(get())), "item");
  settle("the one that was told", getter);
  assertEquals(thrownBy(getter), QueueShutDownError);
});

test("the last item is done while one comes to wait for that", async () => {
  await raceBoth(() => {
    const { core, put, get } = queue();
    const [waits, works] = parties(2);
    works.as(() => block(put("item")));
    works.as(() => block(get()));
    const wait = new Waiting(waits, () => core.join(Infinity));
    return { wait, other: new Waiting(works, () => core.taskDone()), check: () => assert(valueOf(wait)) };
  });
});

test("an item of which one was told that dies goes to the one behind it", () => {
  const { core, put, get } = queue();
  const [dies, next, puts] = parties(3);
  const [first, second] = [dies, next].map((party) => new Waiting(party, () => get()).go());
  puts.as(() => block(put("item")));
  assert(!first.sleeps && second.sleeps);
  dies.die();
  second.go();
  settle("the second one", second);
  assertEquals([valueOf(second), core.size], ["item", 0]);
});

test("room of which one was told that dies goes to the one behind it", () => {
  const { core, put, get } = queue({ maxsize: 1 });
  const [dies, next, other] = parties(3);
  other.as(() => block(put("first")));
  const [first, second] = [dies, next].map((party, i) => new Waiting(party, () => put(i)).go());
  other.as(() => block(get()));
  assert(!first.sleeps && second.sleeps);
  dies.die();
  second.go();
  settle("the second one", second);
  assertEquals([core.size, other.as(() => block(get(0)))], [1, 1]);
});

test("those who come later wait behind those who were told of an item, or of room", () => {
  const { put, get } = queue({ maxsize: 1 });
  const [waits, later, other] = parties(3);
  const getters = [waits, later].map((party) => new Waiting(party, () => get()));
  getters[0].go();
  other.as(() => block(put("first")));
  assert(getters[1].go().sleeps, "it takes what is for another one");
  settle("the first getter", getters[0]);
  other.as(() => block(put("second")));
  settle("both getters", ...getters);
  assertEquals(getters.map(valueOf), ["first", "second"]);
  other.as(() => block(put("a")));
  const putters = [waits, later].map((party, i) => new Waiting(party, () => put(`put ${i}`)));
  putters[0].go();
  other.as(() => block(get()));
  assert(putters[1].go().sleeps, "it takes the room that is for another one");
  settle("the first putter", putters[0]);
  assertEquals(other.as(() => block(get())), "put 0");
  settle("both putters", ...putters);
  assertEquals(other.as(() => block(get())), "put 1");
});

test("a queue with an item is not empty, and one with room is not full, whoever was told of it", () => {
  const { put, get } = queue({ maxsize: 1 });
  const [first, second, other] = parties(3);
  const getters = [first, second].map((party) => new Waiting(party, () => get()).go());
  other.as(() => block(put(1)));
  assertEquals(other.as(() => block(get(0))), 1, "who does not wait takes it");
  getters[0].go();
  assert(getters[0].sleeps, "it waits on");
  other.as(() => block(put(2)));
  settle("the first one", getters[0]);
  assertEquals([valueOf(getters[0]), getters[1].sleeps], [2, true], "it has kept its place");
  other.as(() => block(put(3)));
  settle("the second one", getters[1]);
  other.as(() => block(put(4)));
  const putters = [first, second].map((party, i) => new Waiting(party, () => put(5 + i)).go());
  assertEquals(other.as(() => block(get())), 4);
  other.as(() => block(put("quick", 0)));
  putters[0].go();
  assert(putters[0].sleeps, "it waits on");
  assertEquals(other.as(() => block(get())), "quick");
  settle("the first one", putters[0]);
  assertEquals([other.as(() => block(get())), putters[1].sleeps], [5, false], "it has kept its place");
  settle("the second one", putters[1]);
});

const LARGE = "x".repeat(1_000);
const SMALL = "x".repeat(30);

/** A queue full of small items, a large one that waits for memory, and a small one behind it. */
function fullMemory(deadline = Infinity) {
  const { put, get } = queue({ bytes: 8192 });
  const [large, small, other] = parties(3);
  let count = 0;
  const fill = () => {
    for (;; count++) block(put(SMALL, 0));
  };
  assertThrows(() => other.as(fill), QueueFullError, "The memory of the queue is full");
  assert(count > 10, `${count} items`);
  const largeWait = new Waiting(large, () => put(LARGE, deadline)).go();
  const smallWait = new Waiting(small, () => put(SMALL)).go();
  return { put, get, large, other, largeWait, smallWait, count };
}

test("a large item is not kept out by small ones that come later", () => {
  const { get, put, other, largeWait, smallWait, count } = fullMemory();
  for (let i = 0; i < count; i++) {
    other.as(() => block(get()));
    if (!largeWait.sleeps) largeWait.go();
    if (largeWait.outcome !== undefined) break;
    // There would be memory for these.
    assert(smallWait.sleeps);
    assertThrows(() => other.as(() => block(put(SMALL, 0))), QueueFullError, "The memory of the queue is full");
  }
  settle("both", largeWait, smallWait);
  const left: unknown[] = [];
  assertThrows(() => {
    for (;;) left.push(other.as(() => block(get(0))));
  }, QueueEmptyError);
  assertEquals(left.slice(-2), [LARGE, SMALL], "the large one came first");
});

test("a large item that is given up at its deadline keeps nobody out any more", () => {
  using clock = new Clock();
  const { get, other, smallWait, largeWait } = fullMemory(performance.now() + 50);
  other.as(() => block(get()));
  largeWait.go();
  assert(largeWait.sleeps && smallWait.sleeps, "there is too little memory");
  clock.pass(50);
  settle("both", largeWait, smallWait);
  assertEquals(thrownBy(largeWait), QueueFullError);
});

test("a large item whose thread dies keeps nobody out any more", () => {
  const { get, large, other, smallWait, largeWait } = fullMemory();
  other.as(() => block(get()));
  largeWait.go();
  assert(largeWait.sleeps && smallWait.sleeps, "there is too little memory");
  large.die();
  // It looks now and then.
  smallWait.go();
  settle("the small one", smallWait);
});

// Barriers

function barrier(n: number): BarrierCore {
  const core = new BarrierCore(memory(BARRIER_WORDS));
  core.init(n, Infinity);
  return core;
}

test("the last party comes while another one does: both go on, with two places", async () => {
  await raceBoth(() => {
    const core = barrier(2);
    const [a, b] = parties(2);
    const [wait, other] = [a, b].map((party) => new Waiting(party, () => core.wait(Infinity)));
    return { wait, other, check: () => assertEquals([valueOf(wait), valueOf(other)].sort(), [0, 1]) };
  });
});

test("one whose deadline passes while the last one comes: both go on, or it is broken for both", async () => {
  const ends = new Set<string>();
  using clock = new Clock();
  await raceBoth(() => {
    const core = barrier(2);
    const [a, b] = parties(2);
    const wait = sleepUntil(clock, a, (deadline) => core.wait(deadline));
    const other = new Waiting(b, () => core.wait(Infinity));
    return {
      wait,
      other,
      check() {
        const errors = [thrownBy(wait), thrownBy(other)];
        assertEquals(errors[0], errors[1]);
        assertEquals(errors[0], core.isBroken ? BrokenBarrierError : undefined);
        ends.add(String(core.isBroken));
      },
    };
  });
  assertEquals([...ends].sort(), ["false", "true"]);
});

test("one whose deadline passes ends the waits of all others, at whatever step they are", async () => {
  using clock = new Clock();
  await raceBoth(() => {
    const core = barrier(3);
    const [a, b] = parties(2);
    const other = sleepUntil(clock, a, (deadline) => core.wait(deadline));
    const wait = new Waiting(b, () => core.wait(Infinity));
    return {
      wait,
      other,
      check: () => assertEquals([thrownBy(wait), thrownBy(other)], [BrokenBarrierError, BrokenBarrierError]),
    };
  });
});

test("a party whose task is stopped while it waits breaks the barrier, and the others learn why", () => {
  const core = barrier(3);
  const [stopped, other] = parties(2);
  const wait = new Waiting(other, () => core.wait(Infinity)).go();
  const { reasonToStop } = holding;
  holding.reasonToStop = () => [new RangeError("stopped")];
  try {
    assertThrows(() => stopped.as(() => block(core.wait(Infinity))), RangeError, "stopped");
  } finally {
    holding.reasonToStop = reasonToStop;
  }
  settle("the other one", wait);
  assertThrows(() => valueOf(wait), BrokenBarrierError, "the task of a party was stopped while it waited");
});

test("the next time of a barrier begins before all have left the one before", () => {
  const core = barrier(2);
  const [slow, quick] = parties(2);
  const first = new Waiting(slow, () => core.wait(Infinity)).go();
  assertEquals(quick.as(() => block(core.wait(Infinity))), 1);
  const next = new Waiting(quick, () => core.wait(Infinity)).go();
  assert(next.sleeps, "it does not count who has not left");
  settle("the slow one", first);
  assertEquals(valueOf(first), 0);
  assertEquals(slow.as(() => block(core.wait(Infinity))), 1);
  settle("the next time", next);
  assertEquals(valueOf(next), 0);
});

test("a party that dies while it waits breaks the barrier, at whatever step another one is", async () => {
  await raceAtEachStep(() => {
    const core = barrier(3);
    const [dies, other] = parties(2);
    new Waiting(dies, () => core.wait(Infinity)).go();
    const wait = new Waiting(other, () => core.wait(Infinity));
    return {
      wait,
      looksAgain: true,
      act: () => dies.die(),
      check(outcome) {
        assert("error" in outcome);
        assertEquals((outcome.error as Error).constructor, BrokenBarrierError);
        assertMatch((outcome.error as Error).message, /^The Barrier is broken: .+ died while it waited for it$/);
      },
    };
  });
});

test("a barrier is broken as soon as a party has died that waits, also while nobody else comes", () => {
  const core = barrier(3);
  const [dies, other] = parties(2);
  new Waiting(dies, () => core.wait(Infinity)).go();
  assertEquals([core.waiting, core.isBroken], [1, false]);
  dies.die();
  assertEquals([core.waiting, core.isBroken], [0, true]);
  other.as(() => block(core.end(Cause.NONE)));
  assertEquals([core.waiting, core.isBroken], [0, false]);
});

test("a party of the time before that dies late breaks nothing, and all keep their places", () => {
  const core = barrier(3);
  const [dies, a, b, c] = parties(4);
  new Waiting(dies, () => core.wait(Infinity)).go();
  const before = new Waiting(b, () => core.wait(Infinity)).go();
  assertEquals(a.as(() => block(core.wait(Infinity))), 2);
  settle("the one before", before);
  const waits = [a, b].map((party) => new Waiting(party, () => core.wait(Infinity)).go());
  dies.die();
  // They look now and then.
  for (const wait of waits) wait.go();
  for (const wait of waits) wait.go();
  assertEquals(c.as(() => block(core.wait(Infinity))), 2);
  settle("all", ...waits);
  assertEquals([waits.map(valueOf), core.isBroken], [[0, 1], false]);
});

test("a reset ends a wait, or comes before it", async () => {
  let ended = 0;
  await atEachStep((at) => {
    const core = barrier(2);
    const [a, b] = parties(2);
    const wait = new Waiting(a, () => core.wait(Infinity));
    const reset = new Waiting(b, () => core.end(Cause.NONE));
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => reset.go());
      wait.go();
      happened = interruption.happened;
    }
    if (!happened) reset.go();
    settle(`step ${at}, the reset`, reset);
    const cameBefore = wait.sleeps;
    if (cameBefore) assertEquals(b.as(() => block(core.wait(Infinity))), 1);
    else ended++;
    settle(`step ${at}`, wait);
    assertEquals([thrownBy(wait), core.isBroken], [cameBefore ? undefined : BrokenBarrierError, false]);
    return happened;
  });
  assert(ended > 0);
});

// Conditions

function condition(Class: typeof Lock | typeof RLock = Lock): { core: ConditionCore; lock: LockCore } {
  const lock = coreOf(new Class())!;
  return { core: new ConditionCore(memory(CONDITION_WORDS), lock), lock };
}

function* locked<R>(lock: LockCore, steps: () => Steps<R>): Steps<R> {
  yield* lock.take(Infinity);
  const result = yield* steps();
  lock.release();
  return result;
}

/** A party that waits for a condition, whose lock it holds already. */
function waiterOf(party: Party, { core, lock }: ReturnType<typeof condition>): Waiting<boolean> {
  assert(party.as(() => lock.takeAtOnce()));
  return new Waiting(party, function* () {
    const isTold = yield* core.wait(Infinity);
    lock.release();
    return isTold;
  });
}

function* notify(core: ConditionCore): Steps<void> {
  yield* [];
  core.notify(1);
}

for (const Class of [Lock, RLock]) {
  test(`one that is notified while it begins to wait for a condition of a ${Class.name} wakes up`, async () => {
    const steps = await raceBoth(() => {
      const both = condition(Class);
      const [waits, notifies] = parties(2);
      const wait = waiterOf(waits, both);
      const other = new Waiting(notifies, () => locked(both.lock, () => notify(both.core)));
      return {
        wait,
        other,
        check: () => assertEquals([valueOf(wait), both.lock.isHeld()], [true, false]),
      };
    });
    assert(steps > 5, `${steps} steps`);
  });
}

test("a notification comes while the deadline of the first waiter passes: it has it, or the second one", async () => {
  const told = new Set<string>();
  using clock = new Clock();
  await raceBoth(() => {
    const both = condition();
    const [a, b, notifies] = parties(3);
    const wait = sleepUntil(clock, a, (deadline) => locked(both.lock, () => both.core.wait(deadline)));
    const second = waiterOf(b, both).go();
    return {
      wait,
      other: new Waiting(notifies, () => locked(both.lock, () => notify(both.core))),
      check() {
        const isTold = valueOf(wait);
        told.add(String(isTold));
        assertEquals(second.sleeps, isTold, "one of the two");
        second.go();
      },
    };
  });
  assertEquals([...told].sort(), ["false", "true"]);
});

test("a notification to one that dies goes to the one behind it", () => {
  const both = condition();
  const [dies, next, notifies] = parties(3);
  const first = waiterOf(dies, both).go();
  const second = waiterOf(next, both).go();
  notifies.as(() => block(locked(both.lock, () => notify(both.core))));
  assert(!first.sleeps && second.sleeps);
  dies.die();
  second.go();
  settle("the second one", second);
  assert(valueOf(second));
});

test("one that dies while it holds the lock ends the waits for its condition", async () => {
  await raceAtEachStep(() => {
    const both = condition();
    const [waits, dies] = parties(2);
    const wait = waiterOf(waits, both);
    return {
      wait,
      looksAgain: true,
      act() {
        // Where the lock is free already, it holds it when it dies; else it is the waiter that holds it.
        if (!dies.as(() => both.lock.takeAtOnce())) waits.die();
        dies.die();
      },
      check(outcome) {
        assert("error" in outcome);
        assertEquals((outcome.error as Error).constructor, BrokenLockError);
      },
    };
  });
});

// Locks of those that were given up

test("one that was given up releases no lock that another one holds", () => {
  for (const Class of [Lock, RLock]) {
    const lock = new Class();
    const [gone, other] = parties(2);
    const hold = gone.as(() => lock.hold());
    // It was cut off, and somebody who did not know of it had released its lock.
    coreOf(lock)!.releaseAll();
    gone.die();
    assert(other.as(() => lock.acquire(0)));
    assertThrows(() => gone.as(() => lock.release()));
    gone.as(() => hold[Symbol.dispose]());
    assert(lock.locked(), "it is the other one's");
    other.as(() => lock.release());
    assert(!lock.locked());
  }
});

test("what is left of a task that was cut off releases no lock at the end of a block", () => {
  const lock = new Lock();
  const [gone, other] = parties(2);
  const hold = gone.as(() => lock.hold());
  gone.as(() => lock.release());
  assert(other.as(() => lock.acquire(0)));
  // Its thread goes on as another holder, which lives.
  gone.cutOff();
  gone.as(() => hold[Symbol.dispose]());
  assert(lock.locked(), "it is the other one's");
});

// Events

test("an event that is set while one comes to wait for it lets that one go on", async () => {
  const steps = await raceAtEachStep(() => {
    const core = new EventCore(memory(EVENT_WORDS));
    return {
      wait: new Waiting(new Party(), () => core.wait(Infinity)),
      act: () => core.set(),
      check: (outcome) => assertEquals(outcome, { value: true }),
    };
  });
  assert(steps > 4, `${steps} steps`);
});

test("one that waits for an event goes on, at whatever step of the set it looks", async () => {
  await atEachStep((at) => {
    const core = new EventCore(memory(EVENT_WORDS));
    const wait = new Waiting(new Party(), () => core.wait(Infinity)).go();
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => wait.go());
      core.set();
      happened = interruption.happened;
    }
    settle(`step ${at}`, wait);
    assert(valueOf(wait));
    return happened;
  });
});

test("an event that is set and cleared at once lets those go on that wait", async () => {
  let isFirst = true;
  await raceAtEachStep(() => {
    const core = new EventCore(memory(EVENT_WORDS));
    const wait = new Waiting(new Party(), () => core.wait(Infinity));
    const comesBefore = isFirst;
    isFirst = false;
    return {
      wait,
      act() {
        core.set();
        core.clear();
        // Before its first step it does not wait yet.
        if (comesBefore) core.set();
      },
      check: (outcome) => assertEquals(outcome, { value: true }),
    };
  });
});

test("an event that one sets while another one does, and a third one clears, lets those go on that wait", async () => {
  await atEachStep((at) => {
    const core = new EventCore(memory(EVENT_WORDS));
    const wait = new Waiting(new Party(), () => core.wait(Infinity)).go();
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => {
        core.set();
        core.clear();
      });
      core.set();
      happened = interruption.happened;
    }
    settle(`step ${at}`, wait);
    assert(valueOf(wait));
    return happened;
  });
});

// Who is dead

test("a thread that ends while it becomes a holder is a dead one", async () => {
  await atEachStep((at) => {
    const party = new Party();
    let number = 0;
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => party.die());
      number = party.as(() => holder());
      happened = interruption.happened;
    }
    if (!happened) party.die();
    assertEquals(stateOf(number), HolderState.DEAD);
    return happened;
  });
});

test("a thread is dead when the one is that has started it, or one before that", () => {
  const parent = new Party();
  const child = parent.as(() => new Party());
  const grandchild = child.as(() => new Party());
  const numbers = [parent, child, grandchild].map((party) => party.as(() => holder()));
  assertEquals(numbers.map(stateOf), [HolderState.ALIVE, HolderState.ALIVE, HolderState.ALIVE]);
  child.die(HolderState.ENDED);
  assertEquals(numbers.map(stateOf), [HolderState.ALIVE, HolderState.ENDED, HolderState.ENDED]);
  parent.die();
  assertEquals(numbers.map(stateOf), [HolderState.DEAD, HolderState.ENDED, HolderState.ENDED]);
});

test("the numbers of holders come again, but for those of threads that live on", () => {
  const party = new Party();
  const number = party.as(() => holder());
  const dead = new Party();
  const other = dead.as(() => holder());
  dead.die();
  const seen = new Set<number>();
  for (let i = 0; i < 2 ** 18; i++) {
    const life = createLife();
    seen.add(life.thread);
    endLife(life, HolderState.ENDED);
  }
  assert(seen.has(other) && !seen.has(number), "that of the dead one comes again, and that of the living one does not");
  assertEquals(stateOf(number), HolderState.ALIVE);
  live(party.life);
  assertEquals(holder(), number);
  party.as(() => {});
});
