/** Values that cannot cross: refused with their path, on their own future, whatever they do. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, fail } from "@std/assert";
import { type Future, SerializationError } from "@concurrent/futures";
import { assertSame } from "../_same.ts";
import { both, bothFail, Gate, test, within } from "../_helpers.ts";
import { add, echo, list, makeRefused, passGate } from "../fixtures/tasks.ts";
import { makeOther, OTHERS } from "../fixtures/values.ts";
import { borrow } from "./borrow.ts";
import { begun, type Kind } from "./kind.ts";
import { DOUBTFUL } from "./values.ts";

class Point {
  constructor(public x = 1, public y = 2) {}
}

function assertPath(error: unknown, path: string): void {
  assertInstanceOf(error, SerializationError);
  assertEquals(error.name, "SerializationError");
  const start = error.message.indexOf(path);
  assert(start >= 0, `no ${path} in: ${error.message}`);
  const around = [error.message[start - 1] ?? " ", error.message[start + path.length] ?? " "];
  assert(!/[\w\]]/.test(around[0]) && !/[\w[]/.test(around[1]), `more than ${path} in: ${error.message}`);
}

/** Arguments that are refused, with the exact path of the fault. */
const ARGUMENTS: [string, () => unknown[]][] = [
  ["args[0]", () => [() => 1]],
  ["args[0]", () => [function named() {}]],
  ["args[0]", () => [class {}]],
  ["args[0]", () => [Symbol("here")]],
  ["args[0]", () => [Symbol.iterator]],
  ["args[0]", () => [new Point()]],
  ["args[1]", () => [1, () => 1]],
  ["args[2]", () => [undefined, null, Symbol("here")]],
  ["args[1].list[2].socket", () => [0, { list: [0, 1, { socket: () => 1 }] }]],
  ["args[0].point", () => [{ point: new Point() }]],
  ["args[0][1][0]", () => [[0, [Symbol("x")]]]],
  ["args[0].a.b[0].c", () => [{ a: { b: [{ c: Promise.resolve() }] } }]],
  ["args[0].body", () => [{ body: new ReadableStream() }]],
  ["args[0].out", () => [{ out: new WritableStream() }]],
  ["args[0].response", () => [{ response: new Response("x") }]],
  ["args[0].weak", () => [{ weak: new WeakMap() }]],
  ["args[0].set", () => [{ set: new WeakSet() }]],
  ["args[0].controller", () => [{ controller: new AbortController() }]],
  ["args[0].items[3]", () => [{ items: [1, , 3, () => 1] }]], // deno-lint-ignore no-sparse-arrays
  ["args[0].toJSON", () => [{ toJSON: () => "changed" }]],
  ["args[0].then", () => [{ then: () => 1 }]],
  ["args[0].generator", () => [{
    generator: (function* () {
      yield 1;
    })(),
  }]],
];

/** Arguments that are refused; the message says at least this of the place. */
const OTHER_ARGUMENTS: [string[], () => unknown[]][] = [
  [["args[0]", "a-b"], () => [{ "a-b": () => 1 }]],
  [["args[0]", "key"], () => [new Map([["key", () => 1]])]],
  [["args[0]"], () => [new Map([[() => 1, 1]])]],
  [["args[0]"], () => [new Set([1, Symbol("x")])]],
  [["args[0].map"], () => [{ map: new Map([["k", { deep: [() => 1] }]]) }]],
  [["args[0]", "handler"], () => [Object.assign(new Error("x"), { handler: () => 1 })]],
  [["args[0]", "cause"], () => [new Error("x", { cause: () => 1 })]],
  [["args[1]"], () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    cyclic.bad = new Point();
    return [1, cyclic];
  }],
];

export function refusedBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`${name}.submit() fails the future with SerializationError and the exact path of an argument`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    for (const [path, args] of ARGUMENTS) {
      try {
        await bothFail(() => pool.submit(list, ...args()), (error) => assertPath(error, path));
      } catch (error) {
        faults.push(`${path} of ${Deno.inspect(args())}: ${(error as Error).message}`);
      }
    }
    for (const [parts, args] of OTHER_ARGUMENTS) {
      try {
        await bothFail(() => pool.submit(list, ...args()), (error) => {
          assertInstanceOf(error, SerializationError);
          for (const part of parts) assertStringIncludes(error.message, part);
        });
      } catch (error) {
        faults.push(`${parts} of ${Deno.inspect(args())}: ${(error as Error).message}`);
      }
    }
    await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
    if (faults.length > 0) fail(faults.join("\n"));
  });

  test(`${name}.submit() fails the future with SerializationError and the exact path in a result`, async () => {
    using pool = borrow(kind, 1);
    const cases: Record<string, string> = {
      function: "result",
      symbol: "result",
      instance: "result",
      generator: "result",
      list: "result.list[2]",
      stream: "result.body",
      promise: "result.later",
      deep: "result.a[0].b.c[0][0]",
    };
    const faults: string[] = [];
    for (const [which, path] of Object.entries(cases)) {
      try {
        await bothFail(() => pool.submit(makeRefused, which), (error) => assertPath(error, path));
      } catch (error) {
        faults.push(`${which}: ${(error as Error).message}`);
      }
      await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
    }
    if (faults.length > 0) fail(faults.join("\n"));
  });

  test(`${name}: what is not documented to cross is refused or crosses without a change`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    for (const [what, value] of Object.entries(DOUBTFUL)) {
      try {
        const future = pool.submit(echo<unknown>, value());
        const error = future.exception(5_000);
        if (error === null) assertSame(future.result(), value(), what);
        else assertInstanceOf(error, SerializationError);
      } catch (error) {
        faults.push(`${what}: ${(error as Error).message.split("\n")[0].slice(0, 300)}`);
      }
    }
    await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
    if (faults.length > 0) fail(`${faults.length} changed:\n${faults.join("\n")}`);
  });

  test(`${name}.submit() never throws for the arguments' sake`, async () => {
    using pool = borrow(kind, 1);
    const detached = new ArrayBuffer(8);
    structuredClone(detached, { transfer: [detached] });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    let deep: unknown = [];
    for (let i = 0; i < 200_000; i++) deep = [deep];
    const boom = () => {
      throw new EvalError("thrown by the argument");
    };
    const hostile: Record<string, unknown> = {
      "getter that throws": Object.defineProperty({}, "x", { get: boom, enumerable: true }),
      "proxy with throwing traps": new Proxy({}, { ownKeys: boom, get: boom, getPrototypeOf: boom }),
      "revoked proxy": proxy,
      "detached buffer": detached,
      "nested 200,000 deep": deep,
      "toJSON that throws": { toJSON: boom },
      "future": pool.submit(add, 1, 1),
      "pool": pool,
      "globalThis": globalThis,
    };
    for (const [what, value] of Object.entries(hostile)) {
      let future: Future<unknown>;
      try {
        future = pool.submit(echo<unknown>, value);
      } catch (error) {
        fail(`${what}: submit() threw ${error}`);
      }
      const error = future.exception(10_000);
      if (what !== "nested 200,000 deep") assert(error instanceof Error, `${what}: ${future}`);
      if (what === "future" || what === "pool" || what === "toJSON that throws") {
        assertInstanceOf(error, SerializationError);
      }
      assertEquals(await within(pool.submit(add, 1, 2)), 3, `after ${what}`);
    }
  });

  test(`${name}: a refusal says what the thing is, and what to do instead`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    for (const [which, [makeIt, says]] of Object.entries(OTHERS)) {
      try {
        await bothFail(() => pool.submit(makeOther, which), (error) => {
          // To await it, as a node does, is an error already.
          if (kind.isRemote && which === "revoked proxy") return assertInstanceOf(error, TypeError);
          assertInstanceOf(error, SerializationError);
          assertStringIncludes(error.message, says);
        });
        await bothFail(() => pool.submit(echo<unknown>, makeIt()), (error) => {
          assertInstanceOf(error, SerializationError);
          assertStringIncludes(
            error.message,
            says.replace("fix it, return", "fix it, send").replace("result", "args[0]"),
          );
        });
      } catch (error) {
        faults.push(`${which}: ${(error as Error).message}`);
      }
    }
    await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
    if (faults.length > 0) fail(faults.join("\n"));
  });

  test(`${name}: views that show nothing any more, and extra properties of buffers, are refused`, async () => {
    using pool = borrow(kind, 1);
    const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
    const views = [new Uint8Array(buffer, 40), new Uint8Array(buffer, 40, 2), new DataView(buffer, 40)];
    buffer.resize(20);
    const bytes = new Uint8Array(4);
    const value = { a: [bytes] };
    bytes.buffer.transfer();
    const cases: [string, unknown][] = [
      ...views.map((view): [string, unknown] => ["args[0]", view]),
      ["args[0].view", { view: views[0] }],
      ["args[0]", Object.assign(new ArrayBuffer(2), { extra: 1 })],
    ];
    for (const [path, value] of cases) {
      await bothFail(() => pool.submit(echo<unknown>, value), (error) => assertPath(error, path));
    }
    await bothFail(() => pool.submit(echo<unknown>, value), (error) => assertPath(error, "args[0].a[0]"));
  });

  test(`${name}: what is nested too deeply for others to read is refused, in a Map and in a result, too`, async () => {
    using pool = borrow(kind, 1);
    const nests: Record<string, (inner: unknown) => unknown> = {
      arrays: (inner) => [inner],
      maps: (inner) => new Map([[inner, 1]]),
      values: (inner) => new Map([[1, inner]]),
      sets: (inner) => new Set([inner]),
      errors: (inner) => Object.assign(new Error("x", { cause: inner }), { stack: "Error: x" }),
    };
    for (const [what, nest] of Object.entries(nests)) {
      // Much deeper is refused as well, for one of them: that takes a while.
      for (const depth of what === "maps" ? [3_000, 12_000, 50_000] : [3_000, 12_000]) {
        let value: unknown = 1n;
        for (let i = 0; i < depth; i++) value = nest(value);
        const error = pool.submit(echo<unknown>, value).exception(10_000);
        if (depth > 3_000) assertInstanceOf(error, SerializationError, what);
        else assertEquals(error, null, what);
      }
    }
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`${name}: a refused argument fails at once, while the workers are busy`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const held = pool.submit(passGate<number>, gate.path, 1);
    await gate.arrived();
    const refused = [pool.submit(echo<unknown>, () => 1), pool.submit(echo<unknown>, { a: new Point() })];
    for (const future of refused) assertInstanceOf(future.exception(5_000), SerializationError);
    await begun(kind, held);
    assertEquals(held.state, "RUNNING");
    gate.open();
    assertEquals(await within(held), 1);
  });

  test(`${name}: many refused among as many good leave every future settled`, async () => {
    using pool = borrow(kind, 2);
    const count = kind.isRemote ? 100 : 400;
    const futures = Array.from({ length: 2 * count }, (_, i) => {
      if (i % 4 === 1) return pool.submit(echo<unknown>, Symbol("no"));
      if (i % 4 === 3) return pool.submit(makeRefused, "list");
      return pool.submit(echo<unknown>, i);
    });
    const outcomes = await within(Promise.allSettled(futures));
    for (const [i, outcome] of outcomes.entries()) {
      if (i % 2 === 0) assertEquals(outcome, { status: "fulfilled", value: i });
      else assertInstanceOf((outcome as PromiseRejectedResult).reason, SerializationError);
    }
    const errors = outcomes.filter((_, i) => i % 2 === 1).map((outcome) => (outcome as PromiseRejectedResult).reason);
    assertEquals(new Set(errors).size, count, "each future has an error of its own");
  });
}
