/** What cannot cross is refused with its path. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Executor, SerializationError } from "@concurrent/futures";
import fc from "fast-check";
import { BOUND, rejectionOf, test, thrownBy, within } from "../_helpers.ts";
import { list } from "../fixtures/tasks.ts";
import { holds, key, KINDS, leaf, withPool } from "./_kit.ts";

/** A step from a value into one that it holds. */
type Step = ["key", string] | ["item", number] | ["map", unknown] | ["set"] | ["cause"] | ["field", string];

const BAD = [
  "arrow",
  "function",
  "class",
  "symbol",
  "instance",
  "readable",
  "writable",
  "transform",
  "promise",
  "weak",
];

/**
 * Something that cannot cross, behind some steps. Workers get this as source text, so it uses nothing from around it.
 */
function place(steps: Step[], bad: string, beside: unknown): { value: unknown; bad: unknown } {
  const makers: Record<string, () => unknown> = {
    arrow: () => () => 1,
    function: () => function named() {},
    class: () => class {},
    symbol: () => Symbol("here"),
    instance: () =>
      new (class Point {
        x = 1;
      })(),
    readable: () => new ReadableStream(),
    writable: () => new WritableStream(),
    transform: () => new TransformStream(),
    promise: () => Promise.resolve(1),
    weak: () => new WeakMap(),
  };
  const thing = makers[bad]();
  let value = thing;
  for (const [how, where] of [...steps].reverse()) {
    const inner = value;
    if (how === "key") {
      const object = { before: beside };
      Object.defineProperty(object, where, { value: inner, enumerable: true, writable: true, configurable: true });
      value = Object.assign(object, { after: beside });
    } else if (how === "item") {
      value = [...Array(where).fill(beside), inner, beside];
    } else if (how === "map") {
      value = new Map<unknown, unknown>([["before", beside], [where, inner], ["after", beside]]);
    } else if (how === "set") value = new Set([beside, inner]);
    else if (how === "cause") value = new Error("outer", { cause: inner });
    else value = Object.assign(new RangeError("outer"), { code: 1, [where]: inner });
  }
  return { value, bad: thing };
}

const inner = key.filter((name) => name !== "before" && name !== "after");

const plainStep = fc.oneof(
  fc.tuple(fc.constant("key"), inner),
  fc.tuple(fc.constant("item"), fc.nat(3)),
  fc.tuple(fc.constant("map"), inner),
  fc.tuple(fc.constant("cause")),
  fc.tuple(fc.constant("field"), fc.constantFrom("detail", "list", "a-b")),
) as fc.Arbitrary<Step>;

const collectionStep = fc.oneof(
  fc.tuple(fc.constant("key"), fc.constantFrom("a", "list")),
  fc.tuple(fc.constant("map"), leaf.filter((key) => key !== "before" && key !== "after")),
  fc.tuple(fc.constant("set")),
) as fc.Arbitrary<Step>;

/** What a path leads to, when JavaScript reads it. */
function follow(path: string, root: "args" | "result", value: unknown): unknown {
  assert(path.startsWith(root), path);
  return new Function(root, `return ${path}`)(value);
}

/** Fails unless an error refuses something by its path, which is that of the set for an item of a set. */
function assertRefusal(error: unknown, root: "args" | "result", value: unknown, bad: unknown): void {
  assertInstanceOf(error, SerializationError);
  const found = follow(error.path, root, value);
  assert(found === bad || found instanceof Set, `${error.path} leads to ${Deno.inspect(found)}`);
  assert(error.message.includes(error.path), error.message);
}

for (const [name, runs, make] of KINDS) {
  for (
    const [what, step] of [
      ["what cannot cross", plainStep],
      ["what cannot cross in a Map or a Set", collectionStep],
    ] as const
  ) {
    test(`${name}: ${what} is refused with its path, as an argument and in a result`, async () => {
      const steps = fc.array(step, { maxLength: 6 });
      const example = fc.record({ steps, bad: fc.constantFrom(...BAD), beside: leaf, first: fc.nat(2) });
      const check = async (
        pool: Executor,
        { steps, bad, beside, first }: typeof example extends fc.Arbitrary<infer T> ? T : never,
      ) => {
        const placed = place(steps, bad, beside);
        const args = [...Array(first).fill(beside), placed.value];
        const refused = pool.submit(list, ...args);
        assertEquals(refused.done(), true, "at once");
        assertRefusal(thrownBy(() => refused.result(BOUND)), "args", args, placed.bad);
        assertEquals(await rejectionOf(refused), refused.exception());

        // Workers await what a task returns: they refuse no promise, and a function called `then` may never answer.
        if (typeof (placed.value as { then?: unknown }).then === "function") return;
        const future = pool.submit(
          (text: string, ...args: [Step[], string, unknown]) => (0, eval)(`(${text})`)(...args).value as unknown,
          place.toString(),
          steps,
          bad,
          beside,
        );
        assertRefusal(thrownBy(() => future.result(BOUND)), "result", placed.value, placed.bad);
        assertEquals(await rejectionOf(future), future.exception());
      };
      await withPool(make(), async (pool) => {
        await holds(runs, example, (example) => check(pool, example));
        assertEquals(await within(pool.submit(list, 1)), [1]);
      });
    }, { bound: 60_000 });
  }
}
