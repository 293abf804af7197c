/** Whatever the options of `map()` are, it gives what a model of it says. */
import { assert, assertEquals } from "@std/assert";
import { type Executor, type MapOptions, ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import fc from "fast-check";
import { asynchronous } from "../behaviour/map.ts";
import { shown } from "../behaviour/map_settled.ts";
import { endBy, type Outcome, outcomeBy, type Way, WAYS } from "../fixtures/map_tasks.ts";
import { test } from "../_helpers.ts";
import { holds, withPool } from "./_kit.ts";

interface Example {
  readonly ways: readonly Way[];
  readonly options: { chunksize?: number; buffersize?: number; ordered?: boolean };
  readonly isSettled: boolean;
  readonly isBlocking: boolean;
  readonly isInputLater: boolean;
  /** After how many results it is left. */
  readonly taken: number;
}

const example: fc.Arbitrary<Example> = fc.record({
  // Most of them return: else the first failure ends all.
  ways: fc.array(fc.oneof({ weight: 6, arbitrary: fc.constant("returns" as Way) }, fc.constantFrom(...WAYS)), {
    maxLength: 24,
  }),
  options: fc.record({
    chunksize: fc.integer({ min: 1, max: 9 }),
    buffersize: fc.integer({ min: 1, max: 9 }),
    ordered: fc.boolean(),
  }, { requiredKeys: [] }),
  isSettled: fc.boolean(),
  isBlocking: fc.boolean(),
  isInputLater: fc.boolean(),
  taken: fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, fc.nat(12)),
});

/** At most the first `n` results: then the loop is left. */
async function* firstOf<T>(results: Iterable<T> & AsyncIterable<T>, n: number, isBlocking: boolean): AsyncGenerator<T> {
  if (n === 0) return;
  let taken = 0;
  if (isBlocking) {
    for (const each of results) {
      yield each;
      if (++taken === n) break;
    }
  } else {
    for await (const each of results) {
      yield each;
      if (++taken === n) break;
    }
  }
}

/** An outcome as far as all ways of looking at it tell the same. */
function textOf(outcome: Outcome): string {
  return outcome[1] === "SerializationError" ? outcome[1] : JSON.stringify(outcome);
}

/** Whether each of a list is in another one, as often. */
function isPart(some: readonly string[], all: readonly string[]): boolean {
  const left = [...all];
  return some.every((each) => left.includes(each) && left.splice(left.indexOf(each), 1));
}

async function play(pool: Executor, { ways, options, isSettled, isBlocking, isInputLater, taken }: Example) {
  const isReadable = isBlocking && !isInputLater;
  const input = isInputLater ? asynchronous(ways) : ways;
  const numbers = ways.map((_, n) => n);
  const all: { -readonly [K in keyof MapOptions]: unknown } = { ...options };
  if (isSettled) all.settled = true;
  const results = pool.map(endBy, input, numbers, all as MapOptions);
  const seen: unknown[] = [];
  let error: { reason: unknown } | undefined;
  try {
    for await (const each of firstOf(results, taken, isReadable)) seen.push(each);
  } catch (reason) {
    error = { reason };
  }
  results.return();

  const model = ways.map(outcomeBy);
  const isFailure = ([status]: Outcome) => status === "rejected";
  if (isSettled) {
    const outcomes = (seen as PromiseSettledResult<unknown>[]).map((each) => textOf(shown(each)));
    const expected = model.map(textOf);
    assertEquals([outcomes.length, error], [Math.min(taken, ways.length), undefined]);
    if (options.ordered ?? true) assertEquals(outcomes, expected.slice(0, taken));
    else assert(isPart(outcomes, expected), `${outcomes} of ${expected}`);
    return;
  }
  const good = seen.map((value) => textOf(["fulfilled", value]));
  const failed = error && textOf(shown({ status: "rejected", ...error }));
  if (options.ordered ?? true) {
    const end = model.findIndex(isFailure);
    const expected = model.slice(0, end === -1 ? undefined : end).map(textOf).slice(0, taken);
    assertEquals(good, expected);
    assertEquals(failed, end === -1 || good.length === taken ? undefined : textOf(model[end]));
  } else {
    assert(isPart(good, model.filter((each) => !isFailure(each)).map(textOf)), `${good}`);
    if (failed !== undefined) assert(isPart([failed], model.filter(isFailure).map(textOf)), failed);
    else assertEquals(good.length, Math.min(taken, model.length));
  }
}

for (
  const [name, runs, make] of [
    ["ThreadPoolExecutor", 120, () => new ThreadPoolExecutor(2)],
    ["ProcessPoolExecutor", 40, () => new ProcessPoolExecutor(2)],
  ] as const
) {
  test(`${name}.map(): whatever its options are, it gives what a model says`, async () => {
    await withPool(make(), async (pool) => {
      await holds(runs, example, (example) => play(pool, example));
      assertEquals(await pool.submit((n: number) => n, 1), 1);
    });
  }, { bound: 60_000 });
}
