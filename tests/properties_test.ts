/**
 * Properties that hold for any value, and any order of calls, looked for with values and orders that are made at random. A failure names
 * the seed and the path: `PROPERTY_SEED=<seed> PROPERTY_PATH=<path> deno test -P tests/properties_test.ts --filter <name>` repeats it.
 * `PROPERTY_RUNS=<n>` looks longer, up to 25 s for each property.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  BrokenProcessPool,
  CancelledError,
  type Executor,
  type Future,
  ProcessPoolExecutor,
  SerializationError,
  ShutdownError,
  TaskExitError,
  ThreadPoolExecutor,
  TimeoutError,
  waitSync,
} from "@concurrent/futures";
import fc from "fast-check";
import { assertSame } from "./_same.ts";
import { BOUND, Ledger, rejectionOf, sleep, test, thrownBy, until, within } from "./_helpers.ts";
import { list } from "./fixtures/tasks.ts";

/** How long one property may be looked at, in milliseconds. */
const LIMIT = 25_000;

/** Checks a property; what fails says the seed, the path, and the smallest example that it found within the time. */
async function holds<T>(runs: number, example: fc.Arbitrary<T>, check: (example: T) => Promise<void>): Promise<void> {
  const [seed, path, more] = ["SEED", "PATH", "RUNS"].map((name) => Deno.env.get(`PROPERTY_${name}`));
  const end = performance.now() + LIMIT;
  // Not by an option of fast-check: that leaves its timer and the last run behind.
  const property = fc.asyncProperty(example, async (example) => {
    if (performance.now() < end) await check(example);
  });
  await fc.assert(property, {
    numRuns: Number(more ?? runs),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path }),
  });
}

/** Gives a pool to a test, and waits for its end only if the test passed: a task that hangs shall not hide the seed. */
async function withPool<P extends Executor>(pool: P, use: (pool: P) => Promise<void>): Promise<void> {
  let passed = false;
  try {
    await use(pool);
    passed = true;
  } finally {
    if (passed) await within(pool.shutdown(), "shutdown()");
    else if (pool instanceof ProcessPoolExecutor) pool.killWorkers();
    else pool.shutdownSync({ wait: false, cancelFutures: true });
  }
}

const KINDS: [string, number, () => Executor][] = [
  ["ThreadPoolExecutor", 300, () => new ThreadPoolExecutor(1)],
  ["ProcessPoolExecutor", 150, () => new ProcessPoolExecutor(1)],
];

// ---- any value ----------------------------------------------------------------------------------------------------
// A value is described as a list of nodes that refer to each other by number, so that any reference may be repeated, or lead back.

type Ref = { leaf: unknown } | { node: number };

type Node =
  | { type: "object"; entries: [string, Ref][] }
  | { type: "array"; items: (Ref | null)[]; holes: number }
  | { type: "map"; entries: [Ref, Ref][] }
  | { type: "set"; items: Ref[] }
  | { type: "error"; class: number; message: string; cause: Ref | null; fields: [string, Ref][]; errors: Ref[] }
  | { type: "other"; make: () => object }
  | { type: "view"; class: number; buffer: number; at: number; length: number };

const ERRORS = [Error, TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError, AggregateError];
const VIEWS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float16Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
const BYTES = 64;

/** Any sequence of code units, lone surrogates among them. */
const text = fc.array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd7ff, max: 0xe000 }), fc.nat(127)), { maxLength: 8 })
  .map((units) => String.fromCharCode(...units));

const key: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "__proto__",
    "constructor",
    "then",
    "toJSON",
    "length",
    "0",
    "12",
    "",
    "a-b",
    "\ud800",
    "\0",
    "cause",
  ),
  text,
);

/** Whether a key is one character that JSON writes as several. */
function isEscaped(name: string): boolean {
  return name.length === 1 && JSON.stringify(name).length > 3;
}

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, -0, NaN, Infinity, -Infinity, 2 ** 53, 5e-324, "", "\udc00"),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  text,
);

const ref: fc.Arbitrary<Ref> = fc.oneof(leaf.map((leaf) => ({ leaf })), fc.nat(20).map((node) => ({ node })));

const other: fc.Arbitrary<() => object> = fc.oneof(
  fc.date({ noInvalidDate: false }).map((date) => () => new Date(date)),
  fc.tuple(
    fc.constantFrom("a(b)?", "\\/", "\\n", "", "\\u{1F600}"),
    fc.subarray(["d", "g", "i", "m", "s", "y"]),
    fc.constantFrom("u", "v", ""),
  )
    .map(([source, flags, unicode]) => () => new RegExp(source, flags.join("") + unicode)),
  fc.webUrl({ withQueryParameters: true, withFragments: true }).map((url) => () => new URL(url)),
  fc.uint8Array({ minLength: BYTES, maxLength: BYTES }).map((bytes) => () => bytes.slice().buffer),
);

const node: fc.Arbitrary<Node> = fc.oneof(
  fc.record({
    type: fc.constant("object"),
    entries: fc.array(fc.tuple(key, ref), { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant("array"),
    items: fc.array(fc.option(ref, { freq: 6 }), { maxLength: 5 }),
    holes: fc.oneof(fc.constant(0), fc.nat(2_000)),
  }),
  fc.record({ type: fc.constant("map"), entries: fc.array(fc.tuple(ref, ref), { maxLength: 4 }) }),
  fc.record({ type: fc.constant("set"), items: fc.array(ref, { maxLength: 4 }) }),
  fc.record({
    type: fc.constant("error"),
    class: fc.nat(ERRORS.length - 1),
    message: text,
    cause: fc.option(ref),
    fields: fc.array(fc.tuple(fc.constantFrom("code", "detail", "a-b", "0"), ref), { maxLength: 2 }),
    errors: fc.array(ref, { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant("other"), make: other }),
  fc.record({
    type: fc.constant("view"),
    class: fc.nat(VIEWS.length - 1),
    buffer: fc.nat(20),
    at: fc.nat(BYTES / 8),
    length: fc.nat(BYTES / 8),
  }),
) as fc.Arbitrary<Node>;

const graph: fc.Arbitrary<Node[]> = fc.array(node, { minLength: 1, maxLength: 8 });

/** Makes the value that a list of nodes describes. */
function build(nodes: readonly Node[]): unknown {
  const made = nodes.map((node) => create(node)) as object[];
  const buffers = made.filter((object) => object instanceof ArrayBuffer);
  for (const [i, node] of nodes.entries()) {
    if (node.type !== "view") continue;
    const View = VIEWS[node.class];
    const buffer = buffers[node.buffer % Math.max(1, buffers.length)] ?? new ArrayBuffer(BYTES);
    const longest = (BYTES - node.at * 8) / View.BYTES_PER_ELEMENT;
    made[i] = new View(buffer, node.at * 8, Math.min(node.length, longest));
  }
  const valueOf = (ref: Ref) => "leaf" in ref ? ref.leaf : made[ref.node % made.length];
  for (const [i, node] of nodes.entries()) fill(made[i], node, valueOf);
  return made[0];
}

function create(node: Node): object | undefined {
  switch (node.type) {
    case "object":
      return {};
    case "array":
      return [];
    case "map":
      return new Map();
    case "set":
      return new Set();
    case "error": {
      const Class = ERRORS[node.class];
      return Class === AggregateError
        ? new AggregateError([], node.message)
        : new (Class as typeof Error)(node.message);
    }
    case "other":
      return node.make();
  }
}

function fill(object: object, node: Node, valueOf: (ref: Ref) => unknown): void {
  const define = (name: string, ref: Ref, enumerable = true) =>
    Object.defineProperty(object, name, { value: valueOf(ref), enumerable, writable: true, configurable: true });
  if (node.type === "object") { for (const [name, ref] of node.entries) define(name, ref); }
  else if (node.type === "array") {
    for (const [i, ref] of node.items.entries()) if (ref !== null) define(String(i), ref);
    (object as unknown[]).length = node.items.length + node.holes;
  } else if (node.type === "map") {
    for (const [key, value] of node.entries) (object as Map<unknown, unknown>).set(valueOf(key), valueOf(value));
  } else if (node.type === "set") { for (const ref of node.items) (object as Set<unknown>).add(valueOf(ref)); }
  else if (node.type === "error") {
    if (node.cause !== null) define("cause", node.cause, false);
    for (const [name, ref] of node.fields) define(name, ref);
    if (object instanceof AggregateError) object.errors.push(...node.errors.map(valueOf));
  }
}

/** For each two views or buffers of a value: how far apart they begin, if it is in the same memory. */
function sharing(value: unknown): (number | undefined)[][] {
  const memory: (ArrayBuffer | ArrayBufferView)[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown) => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) memory.push(value);
    else if (value instanceof Map) [...value].flat().forEach(visit);
    else if (value instanceof Set) [...value].forEach(visit);
    else {for (const name of Object.getOwnPropertyNames(value).sort()) {
        visit((value as { [name: string]: unknown })[name]);
      }}
  };
  visit(value);
  const place = (m: ArrayBuffer | ArrayBufferView) =>
    ArrayBuffer.isView(m) ? [m.buffer, m.byteOffset] as const : [m, 0] as const;
  return memory.map((a) =>
    memory.map((b) => {
      const [[bufferA, atA], [bufferB, atB]] = [place(a), place(b)];
      return bufferA === bufferB ? atA - atB : undefined;
    })
  );
}

for (const [name, runs, make] of KINDS) {
  test(`${name}: any value of the contract comes back as it was, blocked and awaited`, async () => {
    await withPool(make(), async (pool) => {
      await holds(runs, graph, async (nodes) => {
        const value = build(nodes);
        const futures = [pool.submit(list, value, [value]), pool.submit(list, value, [value])];
        for (const back of [futures[0].result(BOUND), await within(futures[1], "the value")]) {
          assertSame(back, [value, [value]]);
          assertEquals(sharing(back), sharing([value, [value]]));
        }
        assertSame(value, build(nodes), "the argument itself");
        assertEquals(({} as Record<string, unknown>).polluted, undefined);
      });
    });
  }, { bound: 60_000 });
}

for (const [name, , make] of KINDS) {
  // V8 15.0 parses {"a":1,"\n":2} as if it were {"a":1,"\\":2} where it has parsed the latter before, so that comes first.
  test(`${name}: keys of one character that JSON escapes come back as they were`, async () => {
    const keys = fc.uniqueArray(fc.constantFrom("a", "b", "\\", "\n", '"', "\0", "\ud800"), {
      minLength: 1,
      maxLength: 4,
    });
    const example = fc.record({
      objects: fc.array(keys, { minLength: 1, maxLength: 4 }),
      value: fc.constantFrom(1, 1n),
    });
    await withPool(make(), async (pool) => {
      await holds(50, example, async ({ objects, value }) => {
        const objectOf = (names: string[]) => Object.fromEntries(names.map((name) => [name, value]));
        const before = objects.map((names) => objectOf(names.map((name) => isEscaped(name) ? "\\" : name)));
        const sent = [...before, ...objects.map(objectOf)];
        const futures = [pool.submit(list, ...sent), pool.submit(list, ...sent)];
        assertSame(futures[0].result(BOUND), sent);
        assertSame(await within(futures[1], "the objects"), sent);
      });
    });
  }, { bound: 60_000 });
}

// ---- what cannot cross --------------------------------------------------------------------------------------------

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

/** Something that cannot cross, at the end of some steps. Sent to workers as source text, so it uses nothing from around it. */
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

/** What a path leads to, read as JavaScript. */
function follow(path: string, root: "args" | "result", value: unknown): unknown {
  assert(path.startsWith(root), path);
  return new Function(root, `return ${path}`)(value);
}

/** Fails unless an error is the refusal of something at its place, or of the set in which that is: an item of a set has no name. */
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

        // What a task returns is awaited, so a promise is no refusal there, and a function called `then` may never answer.
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

// ---- any order of calls -------------------------------------------------------------------------------------------

type Task = "value" | "later" | "fails" | "exits" | "refused" | "crashes";

type Call = ["submit", Task] | ["cancel" | "result" | "await" | "look", number] | [
  "turn" | "shutdown" | "cancelAll" | "kill",
];

/** Says that it runs, and ends in some way. Sent to workers as source text. */
function work(ledger: string, id: number, task: Task): unknown {
  Deno.writeTextFileSync(ledger, `${id}\n`, { append: true });
  if (task === "later") return new Promise((resolve) => setTimeout(resolve, 2, id));
  if (task === "fails") throw new RangeError(`task ${id}`);
  if (task === "exits") Deno.exit(id);
  while (task === "crashes") Deno.kill(Deno.pid, "SIGKILL");
  return task === "refused" ? () => id : id;
}

interface Submitted {
  id: number;
  task: Task;
  future: Future<unknown>;
  /** What callbacks and listeners have seen; each once. */
  called: unknown[];
  settled: unknown[];
}

function outcomeOf(future: Future<unknown>): unknown {
  return future.cancelled() ? "cancelled" : future.exception(0) ?? future.result(0);
}

/** Makes the calls and checks what is true after any. */
async function play(pool: Executor, calls: Call[], deaths: "none" | "break" | "replace"): Promise<void> {
  const ledger = new Ledger();
  const all: Submitted[] = [];
  const done = new Set<"shutdown" | "kill">();
  for (const [call, what] of calls) {
    const { future, id } = all[Number(what) % all.length] ?? {};
    if (call === "submit") {
      try {
        const entry: Submitted = { id: all.length, task: what, called: [], settled: [], future: undefined! };
        entry.future = pool.submit(work, ledger.path, entry.id, what);
        entry.future.addDoneCallback((future) => entry.called.push(outcomeOf(future)));
        const settled = (outcome: unknown) => void entry.settled.push(outcome);
        entry.future.then(settled, (error) => settled(error instanceof CancelledError ? "cancelled" : error));
        all.push(entry);
      } catch (error) {
        if (deaths !== "break" || !(error instanceof BrokenProcessPool)) {
          assertInstanceOf(error, ShutdownError);
          assert(done.has("shutdown"), "submit() refused");
        }
      }
    } else if (call === "turn") await sleep(0);
    else if (call === "shutdown" || call === "cancelAll") {
      pool.shutdownSync({ wait: false, cancelFutures: call === "cancelAll" });
      done.add("shutdown");
      if (call === "cancelAll") { for (const { future } of all) assert(future.state !== "PENDING", `${future}`); }
    } else if (call === "kill") {
      (pool as ProcessPoolExecutor).killWorkers();
      done.add("shutdown").add("kill");
    } else if (future !== undefined) {
      if (call === "cancel") assertEquals(future.cancel(), future.cancelled(), `task ${id}`);
      else if (call === "look") assertEquals(future.done() && future.running(), false, `task ${id}`);
      else if (call === "await") await within(Promise.allSettled([future]), `task ${id}`);
      else {
        try {
          future.result(BOUND);
        } catch (error) {
          assert(!(error instanceof TimeoutError), `task ${id} hangs: ${future}`);
        }
      }
    }
  }
  if (calls.length % 2 === 0) {
    const { notDone } = waitSync(all.map(({ future }) => future), { timeout: BOUND });
    assertEquals(notDone.size, 0, `they hang: ${[...notDone].join(", ")}`);
    pool.shutdownSync();
  } else await within(pool.shutdown(), "shutdown()");
  await until(() => all.every(({ called, settled }) => called.length + settled.length >= 2), "callbacks and listeners");
  await sleep(0); // for what might be called again

  const ran = ledger.numbers();
  assertEquals([...new Set(ran)], ran, "each task runs once at the most");
  const crashed = all.some(({ task, id }) => task === "crashes" && ran.includes(id));
  const counts = { value: 0, error: 0, cancelled: 0 };
  for (const { id, task, future, called, settled } of all) {
    const text = `task ${id} (${task}): ${future}`;
    assertEquals([future.done(), called.length, settled.length], [true, 1, 1], text);
    const outcome = outcomeOf(future);
    assert(Object.is(called[0], outcome) && Object.is(settled[0], outcome), `${text} was ${Deno.inspect(called[0])}`);
    counts[future.cancelled() ? "cancelled" : future.exception(0) === null ? "value" : "error"]++;
    if (outcome === "cancelled") assert(!ran.includes(id), `${text} ran`);
    else if (outcome instanceof BrokenProcessPool) {
      const isVictim = task === "crashes" && ran.includes(id);
      assert(isVictim || done.has("kill") || (deaths === "break" && crashed), text);
    } else {
      assert(ran.includes(id), `${text} did not run`);
      if (task === "value" || task === "later") assertEquals(outcome, id, text);
      else if (task === "fails") assertInstanceOf(outcome, RangeError, text);
      else if (task === "exits") assertInstanceOf(outcome, TaskExitError, text);
      else assertInstanceOf(outcome, SerializationError, text);
    }
  }
  assertEquals(counts.value + counts.error + counts.cancelled, all.length);
  const errors = all.map(({ future }) => outcomeOf(future)).filter((outcome) => outcome instanceof Error);
  assertEquals(new Set(errors).size, counts.error, "each error is one future's own");
}

/** Calls in any order; some of those that end a pool stand late. */
function callsWith(tasks: Task[], ends: Call[0][]): fc.Arbitrary<Call[]> {
  const which = fc.nat(30);
  const call = fc.oneof(
    { weight: 12, arbitrary: fc.tuple(fc.constant("submit"), fc.constantFrom(...tasks)) },
    { weight: 5, arbitrary: fc.tuple(fc.constant("cancel"), which) },
    { weight: 5, arbitrary: fc.tuple(fc.constantFrom("result", "await", "look"), which) },
    { weight: 3, arbitrary: fc.tuple(fc.constant("turn")) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...ends)) },
  ) as fc.Arbitrary<Call>;
  return fc.array(call, { minLength: 5, maxLength: 40, size: "max" });
}

const TASKS: Task[] = ["value", "value", "later", "fails", "exits", "refused"];

test("ThreadPoolExecutor: any order of calls settles each future once, and what is cancelled never runs", async () => {
  await holds(80, callsWith(TASKS, ["shutdown", "cancelAll"]), async (calls) => {
    await withPool(new ThreadPoolExecutor(2), (pool) => play(pool, calls, "none"));
  });
}, { bound: 60_000 });

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(`ProcessPoolExecutor: any order of calls and crashes settles each future once (${onWorkerCrash})`, async () => {
    await holds(12, callsWith([...TASKS, "crashes"], ["shutdown", "cancelAll", "kill"]), async (calls) => {
      const pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
      await withPool(pool, (pool) => play(pool, calls, onWorkerCrash));
    });
  }, { bound: 60_000 });
}
