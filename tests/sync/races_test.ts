/**
 * The races of the objects of `sync`, each forced: another party acts between any two steps of one that waits. What
 * each race is about is told in executors/sync/INTERNALS.md, under the same names.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { Atomics as kept, performance } from "../../futures/builtins.ts";
import { holding } from "../../executors/_queue/holders.ts";
import { Mutex } from "../../executors/sync/_mutex.ts";
import { LIST_WORDS, TOLD, WAITING, WaitList } from "../../executors/sync/_wait_list.ts";
import { BrokenLockError } from "../../executors/sync/errors.ts";
import { block } from "../../executors/sync/_pause.ts";
import { test } from "../_helpers.ts";
import { Clock } from "../protocol/_kit.ts";
import { memory, Party, raceAtEachStep, settle, thrownBy, valueOf, Waiting } from "./_kit.ts";

function heldMutex(): { mutex: Mutex; words: Int32Array; holder: Party; waiter: Party } {
  const words = memory(8);
  const mutex = new Mutex(words, 1, "Lock");
  const [holder, waiter] = [new Party(), new Party()];
  assert(holder.as(() => mutex.tryLock()));
  return { mutex, words, holder, waiter };
}

test("a mutex that is released while another one comes is taken by that one", async () => {
  const steps = await raceAtEachStep(() => {
    const { mutex, holder, waiter } = heldMutex();
    return {
      wait: new Waiting(waiter, () => mutex.lock(Infinity)),
      act: () => holder.as(() => mutex.release()),
      check(outcome) {
        assertEquals(outcome, { value: true });
        assert(!holder.as(() => mutex.tryLock()), "two hold it");
        waiter.as(() => mutex.release());
        assert(holder.as(() => mutex.tryLock()), "it stays held");
      },
    };
  });
  assert(steps > 60, `${steps} steps`);
});

test("a mutex whose holder dies while another one comes is broken", async () => {
  await raceAtEachStep(() => {
    const { mutex, holder, waiter } = heldMutex();
    const wait = new Waiting(waiter, () => mutex.lock(Infinity));
    return {
      wait,
      // Nobody wakes up one that sleeps.
      looksAgain: true,
      act: () => holder.die(),
      check(outcome) {
        assert("error" in outcome);
        assertInstanceOf(outcome.error, BrokenLockError);
      },
    };
  });
});

test("a waiter that has waited in vain often is next, whoever else comes", () => {
  const { mutex, words, holder, waiter } = heldMutex();
  const wait = new Waiting(waiter, () => mutex.lock(Infinity)).go();
  for (let overtaken = 0;; overtaken++) {
    assert(overtaken < 10, "it is overtaken for ever");
    // Another one is quicker each time.
    holder.as(() => mutex.release());
    const isFree = holder.as(() => mutex.tryLock());
    if (!isFree) break;
    wait.go();
  }
  assertEquals(wait.finish("the waiter"), { value: true });
  waiter.as(() => mutex.release());
  assertEquals([words[1], words[2]], [0, 0], "its word, and the ticket");
});

/** A waiter that has asked to be next. */
function next(): ReturnType<typeof heldMutex> & { wait: Waiting<boolean> } {
  const held = heldMutex();
  const wait = new Waiting(held.waiter, () => held.mutex.lock(Infinity)).go();
  while (held.words[2] === 0) wait.go();
  return { ...held, wait };
}

test("a mutex that is given to a waiter is its own, at whatever step of the release it looks", async () => {
  let steps = 0;
  await raceAtEachStep(() => {
    const { mutex, holder, waiter, wait } = next();
    // The release is what is interrupted.
    // deno-lint-ignore require-yield
    const release = new Waiting(holder, function* () {
      mutex.release();
    });
    steps++;
    return {
      wait: release,
      act: () => void wait.go(),
      check() {
        assertEquals(wait.finish("the waiter"), { value: true });
        assert(!holder.as(() => mutex.tryLock()), "two hold it");
        waiter.as(() => mutex.release());
        assert(holder.as(() => mutex.tryLock()), "it stays held");
      },
    };
  });
  assert(steps > 3);
});

test("a mutex that a waiter takes which has just asked for it is given to nobody else later", async () => {
  await raceAtEachStep(() => {
    const { mutex, holder, waiter, words } = heldMutex();
    const wait = new Waiting(waiter, () => mutex.lock(Infinity)).go();
    // At its next look it asks.
    for (let i = 0; i < 3; i++) wait.go();
    assertEquals(words[2], 0, "it has not asked yet");
    return {
      wait,
      act: () => holder.as(() => mutex.release()),
      check(outcome) {
        assertEquals(outcome, { value: true });
        waiter.as(() => mutex.release());
        assert(holder.as(() => mutex.tryLock()), "it is given to one that does not wait");
        holder.as(() => mutex.release());
        assertEquals(words[2], 0, "the ticket");
      },
    };
  });
});

test("of several that wait, each is woken up, whoever comes in between", () => {
  const { mutex, holder } = heldMutex();
  const parties = [new Party(), new Party(), new Party()];
  const waits = parties.map((party) => new Waiting(party, () => mutex.lock(Infinity)).go());
  assert(waits.every((wait) => wait.sleeps));
  holder.as(() => mutex.release());
  for (const [i, wait] of waits.entries()) {
    assertEquals(wait.finish(`waiter ${i}`), { value: true });
    parties[i].as(() => mutex.release());
  }
});

test("a thread that was given up takes no mutex, and breaks none", () => {
  const { mutex, holder, waiter } = heldMutex();
  holder.as(() => mutex.release());
  waiter.die();
  for (const take of [() => mutex.tryLock(), () => block(mutex.lock(Infinity))]) {
    const error = assertThrows(() => waiter.as(take), BrokenLockError);
    assertMatch(error.message, /^Cannot wait any longer: the task of this call was stopped/);
    assert(holder.as(() => mutex.tryLock()), "it is free, and whole");
    const wait = new Waiting(waiter, () => mutex.lock(Infinity)).go();
    holder.as(() => mutex.release());
    assert("error" in wait.finish("the dead waiter"));
  }
  assert(holder.as(() => mutex.tryLock()), "it is free, and whole");
});

test("a waiter whose deadline passes while the mutex is given to it has it, or nobody has", async () => {
  using clock = new Clock();
  await raceAtEachStep(() => {
    const { mutex, holder, waiter, words } = heldMutex();
    const deadline = performance.now() + 50;
    const wait = new Waiting(waiter, () => mutex.lock(deadline)).go();
    while (words[2] === 0) wait.go();
    clock.pass(50);
    return {
      wait,
      act: () => holder.as(() => mutex.release()),
      check(outcome) {
        assert("value" in outcome);
        const isFree = holder.as(() => mutex.tryLock());
        assertEquals(isFree, !outcome.value, "it has it, or it is free");
      },
    };
  });
});

test("a waiter that is woken up and gives up, at its deadline or dead, wakes up the next one", () => {
  for (const how of ["its deadline has passed", "it has died"]) {
    using clock = new Clock();
    const { mutex, holder, waiter } = heldMutex();
    const [second, barger] = [new Party(), new Party()];
    const deadline = performance.now() + 50;
    const gone = new Waiting(waiter, () => mutex.lock(how.startsWith("its") ? deadline : Infinity)).go();
    const wait = new Waiting(second, () => mutex.lock(Infinity)).go();
    holder.as(() => mutex.release());
    assert(!gone.sleeps && wait.sleeps, "the first one is woken up");
    // Another one is quicker, and does not know that anybody waits.
    assert(barger.as(() => mutex.tryLock()));
    if (how.startsWith("its")) clock.pass(50);
    else waiter.die();
    gone.go();
    barger.as(() => mutex.release());
    settle(how, gone, wait);
    assertEquals([thrownBy(gone) ?? valueOf(gone), valueOf(wait)], [
      how.startsWith("its") ? false : BrokenLockError,
      true,
    ]);
  }
});

test("a waiter that is woken up by a release, and has died, leaves the mutex to the next one", () => {
  const { mutex, holder, waiter } = heldMutex();
  const second = new Party();
  const gone = new Waiting(waiter, () => mutex.lock(Infinity)).go();
  const wait = new Waiting(second, () => mutex.lock(Infinity)).go();
  holder.as(() => mutex.release());
  waiter.die();
  settle("both", gone, wait);
  assertEquals([thrownBy(gone), valueOf(wait)], [BrokenLockError, true]);
});

test("one that was given up in a block of an object leaves it, and breaks nothing if it does so soon", () => {
  for (const isSoon of [true, false]) {
    using clock = new Clock();
    const { mutex, holder, waiter } = heldMutex();
    const wait = new Waiting(waiter, () => mutex.hold()).go();
    holder.die();
    wait.go();
    clock.pass(500);
    assert(wait.go().outcome === undefined, "it has not waited for the one that was given up");
    if (isSoon) holder.as(() => mutex.release());
    else {
      clock.pass(500);
      wait.go(); // it looks now and then
    }
    settle("who waits", wait);
    assertEquals(thrownBy(wait), isSoon ? undefined : BrokenLockError);
  }
});

test("one that fails to take a mutex again lets it not go at the end of its block", () => {
  const mutex = new Mutex(memory(8), 1, "Lock");
  const [fails, holds, third] = [new Party(), new Party(), new Party()];
  const wait = new Waiting(fails, function* () {
    using held = yield* mutex.hold();
    held.release();
    assert(holds.as(() => mutex.tryLock()));
    yield* held.lock();
  }).go();
  fails.die();
  wait.go();
  assertEquals(thrownBy(wait), BrokenLockError);
  assert(!third.as(() => mutex.tryLock()), "it has let it go for the one that holds it");
});

test("who wants a mutex gives up when its task is stopped, and who must have it waits on", () => {
  const { mutex, holder, waiter } = heldMutex();
  const [{ reasonToStop }, { wait }] = [holding, kept];
  let waits = 0;
  holding.reasonToStop = () => [new RangeError("stopped")];
  const countedWait = (words: Int32Array, index: number, value: number, timeout?: number) => {
    if (++waits === 4) holder.as(() => mutex.release());
    return wait(words, index, value, timeout);
  };
  Object.assign(kept, { wait: countedWait });
  try {
    assertThrows(() => waiter.as(() => block(mutex.lock(Infinity))), RangeError, "stopped");
    assertEquals(waits, 1);
    const must = function* () {
      using _ = yield* mutex.hold();
      return waits;
    };
    assertEquals(waiter.as(() => block(must())), 4);
  } finally {
    Object.assign(holding, { reasonToStop });
    Object.assign(kept, { wait });
  }
  assert(holder.as(() => mutex.tryLock()), "it is free");
});

test("a mutex is not given to a waiter that has died", () => {
  const { mutex, holder, waiter, wait } = next();
  waiter.die();
  holder.as(() => mutex.release());
  assert(holder.as(() => mutex.tryLock()), "it was given to a dead waiter");
  assertInstanceOf((wait.go().outcome as { error?: unknown } | undefined)?.error ?? new BrokenLockError(""), Error);
});

test("one who is told while it begins to wait does not sleep", async () => {
  await raceAtEachStep(() => {
    const list = new WaitList(memory(4096), 0);
    const party = new Party();
    const entry = party.as(() => list.enter());
    return {
      wait: new Waiting(party, () => list.wait(entry, Infinity, () => false)),
      act: () => assert(list.tell()),
      check: () => assertEquals(list.leave(entry), TOLD),
    };
  });
});

test("those who wait are told in the order of their coming, also where entries are used again", () => {
  const list = new WaitList(memory(4096), 0);
  const parties = Array.from({ length: 5 }, () => new Party());
  const entries = parties.map((party) => party.as(() => list.enter()));
  // The second one leaves, and comes again as the last.
  assertEquals(list.leave(entries[1]), 0);
  const again = parties[1].as(() => list.enter());
  assertEquals(again.entry, entries[1].entry, "its entry is used again");
  entries[1] = again;
  const order = [];
  while (list.tell()) order.push([0, 1, 2, 3, 4].filter((i) => list.stateOf(entries[i]) === TOLD));
  assertEquals(order, [[0], [0, 2], [0, 2, 3], [0, 2, 3, 4], [0, 1, 2, 3, 4]]);
  assertEquals(list.told, 5);
  for (const entry of entries) assertEquals(list.leave(entry), TOLD);
  assertEquals([list.told, list.waiting], [0, 0]);
});

test("who looks whether others have died looks at all only when a thread has ended", () => {
  const list = new WaitList(memory(LIST_WORDS), 0);
  const parties = Array.from({ length: 50 }, () => new Party());
  for (const party of parties) party.as(() => list.enter());
  assert(!list.hasDead);
  const { load } = kept;
  let loads = 0;
  kept.load = ((words: Int32Array, index: number) => {
    loads++;
    return load(words, index);
  }) as typeof load;
  try {
    assert(!list.hasDead);
  } finally {
    kept.load = load;
  }
  assert(loads <= 2, `${loads} looks at ${parties.length} that wait`);
  parties[30].die();
  assert(list.hasDead);
  list.bury();
  assert(!list.hasDead);
  // It may have died since it has taken the mutex: nobody would look at its entry before the next death.
  assertThrows(() => parties[30].as(() => list.enter()), BrokenLockError);
  assertEquals(list.waiting, 49);
});

test("what somebody was told of who has died is told to the next one", () => {
  const list = new WaitList(memory(4096), 0);
  const [first, second] = [new Party(), new Party()];
  first.as(() => list.enter());
  const entry = second.as(() => list.enter());
  assert(list.tell());
  assert(!list.hasDead);
  first.die();
  assert(list.hasDead);
  assertEquals(list.bury().told, 1);
  assert(list.tell());
  assertEquals(block(second.as(() => list.wait(entry, Infinity, () => false))), undefined);
  assertEquals(list.leave(entry), TOLD);
});

test("a waiter whose task was cut off leaves the entry alone that is another one's by now", () => {
  const list = new WaitList(memory(4096), 0);
  const [left, other] = [new Party(), new Party()];
  const ticket = left.as(() => list.enter());
  const wait = new Waiting(left, () => list.wait(ticket, Infinity, () => false)).go();
  // Its thread goes on, and so does what is left of its task.
  left.cutOff();
  assertEquals(list.bury().told, 0);
  const next = other.as(() => list.enter());
  assertEquals(next.entry, ticket.entry, "the entry is used again");
  wait.go();
  assert(wait.outcome !== undefined, "it sleeps on, in an entry of another one");
  for (const act of [() => list.stateOf(ticket), () => list.leave(ticket)]) {
    assertThrows(() => left.as(act), BrokenLockError);
  }
  assertEquals([list.waiting, list.stateOf(next)], [1, WAITING], "the other one waits on");
  assert(list.tell());
  assertThrows(() => left.as(() => list.leave(ticket)), BrokenLockError);
  assertEquals([list.told, other.as(() => list.leave(next)), list.told], [1, TOLD, 0]);
});

test("a waiter whose task was cut off has its own entry no more, also before others know", () => {
  const list = new WaitList(memory(4096), 0);
  const left = new Party();
  const ticket = left.as(() => list.enter());
  assert(list.tell());
  left.cutOff();
  assertThrows(() => left.as(() => list.leave(ticket)), BrokenLockError);
  assertEquals(list.bury().told, 1, "what it was told of is for others");
});
