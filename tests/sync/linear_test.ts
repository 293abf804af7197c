/**
 * Short random histories of locks, semaphores and queues on several threads are linearizable; `deno task soak sync`
 * makes more of them. A failure says the seed: `SOAK_SEED=<seed>` draws the same calls again, and the threads may meet
 * otherwise.
 */
import { assert, assertEquals } from "@std/assert";
import { Random, test } from "../_helpers.ts";
import { newSeed } from "../soak/_scenario.ts";
import { assertLinearizable, CarelessLock, checkHistories, SUBJECTS } from "./_histories.ts";
import { type Call, linearize, lockModel, type Model, queueModel, semaphoreModel, show } from "./_linear.ts";

const COUNT = 100;

for (const kind of Object.keys(SUBJECTS)) {
  test(`${kind}: ${COUNT} short random histories are linearizable`, async () => {
    const seed = newSeed();
    try {
      await assertLinearizable(kind, COUNT, new Random(seed));
    } catch (error) {
      throw new Error(`with seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  });
}

test("a lock that looks and then takes is found out by its histories", async () => {
  const seed = newSeed();
  const calls = await checkHistories(
    () => new CarelessLock().words,
    lockModel as Model<unknown>,
    5_000,
    new Random(seed),
  );
  assert(calls !== undefined, `with seed ${seed}: no history shows it`);
  assert(show(calls).includes("acquire"));
});

/** Calls of several threads: each row is `begin`, `end`, what, result and what was given. */
function history(...rows: [begin: number, end: number, what: string, result: unknown, given?: unknown][]): Call[] {
  return rows.map(([begin, end, what, result, given], thread) => ({ thread, begin, end, what, result, given }));
}

const cases: [what: string, model: Model<never>, calls: Call[], isLinearizable: boolean][] = [
  ["two take a lock at once", lockModel, history([0, 3, "acquire", true], [1, 2, "acquire", true]), false],
  ["one of two takes a lock", lockModel, history([0, 3, "acquire", true], [1, 2, "acquire", false]), true],
  ["none takes a lock that is free", lockModel, history([0, 1, "acquire", false], [2, 3, "acquire", true]), false],
  [
    "a lock is released in between",
    lockModel,
    history([0, 1, "acquire", true], [2, 5, "release", undefined], [3, 4, "acquire", true]),
    true,
  ],
  [
    "a lock is taken before its release begins",
    lockModel,
    history([0, 1, "acquire", true], [2, 3, "acquire", true], [4, 5, "release", undefined]),
    false,
  ],
  [
    "three have two permits",
    semaphoreModel(2),
    history([0, 5, "acquire", true], [1, 4, "acquire", true], [2, 3, "acquire", true]),
    false,
  ],
  ["a permit is not seen", semaphoreModel(1), history([0, 1, "acquire", false]), false],
  [
    "an item comes twice",
    queueModel(2, "Queue"),
    history([0, 1, "put", undefined, 7], [2, 5, "get", 7], [3, 4, "get", 7]),
    false,
  ],
  ["an item is lost", queueModel(2, "Queue"), history([0, 1, "put", undefined, 7], [2, 3, "get", "empty"]), false],
  [
    "items come in the order in which they were put in at once",
    queueModel(2, "Queue"),
    history([0, 3, "put", undefined, 1], [1, 2, "put", undefined, 2], [4, 5, "get", 2], [6, 7, "get", 1]),
    true,
  ],
  [
    "items come in the wrong order",
    queueModel(2, "Queue"),
    history([0, 1, "put", undefined, 1], [2, 3, "put", undefined, 2], [4, 5, "get", 2], [6, 7, "get", 1]),
    false,
  ],
  [
    "the same for a stack",
    queueModel(2, "LifoQueue"),
    history([0, 1, "put", undefined, 1], [2, 3, "put", undefined, 2], [4, 5, "get", 2], [6, 7, "get", 1]),
    true,
  ],
  [
    "the lowest priority comes first",
    queueModel(2, "PriorityQueue"),
    history([0, 1, "put", undefined, [2, "a"]], [2, 3, "put", undefined, [1, "b"]], [4, 5, "get", [2, "a"]]),
    false,
  ],
  [
    "one too many is put in",
    queueModel(1, "Queue"),
    history([0, 1, "put", undefined, 1], [2, 3, "put", undefined, 2]),
    false,
  ],
  [
    "an item is put in after a shutdown",
    queueModel(1, "Queue"),
    history([0, 1, "shutdown", undefined], [2, 3, "put", undefined, 2]),
    false,
  ],
] as never;

for (const [what, model, calls, isLinearizable] of cases) {
  test(`the checker ${isLinearizable ? "explains" : "finds"}: ${what}`, () => {
    const order = linearize(calls, model);
    assertEquals(order !== undefined, isLinearizable);
    if (order !== undefined) assertEquals(order.toSorted((a, b) => a.begin - b.begin), calls);
  });
}
