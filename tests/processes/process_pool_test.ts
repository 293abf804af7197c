/** What only {@linkcode ProcessPoolExecutor} has: its options, processes on demand and their surroundings. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import {
  BrokenExecutor,
  BrokenProcessPool,
  Executor,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  wait,
} from "@concurrent/futures";
import {
  bestOf,
  both,
  bothFail,
  BOUND,
  childProcesses,
  Gate,
  outputOf,
  startedWorkers,
  temporaryPath,
  test,
  within,
} from "../_helpers.ts";
import {
  awaitTicks,
  countHere,
  envOf,
  failWithPid,
  pid,
  pidAtGate,
  pidLater,
  startTicking,
  surroundings,
} from "../fixtures/process_tasks.ts";
import { add, echoLater, passGate, square } from "../fixtures/tasks.ts";

// ---- the constructor ----------------------------------------------------------------------------------------------

test("new ProcessPoolExecutor() takes a number, options or nothing, and starts nothing", async () => {
  const before = startedWorkers();
  const makes: (() => ProcessPoolExecutor)[] = [
    () => new ProcessPoolExecutor(),
    () => new ProcessPoolExecutor(2),
    () => new ProcessPoolExecutor({}),
    () => new ProcessPoolExecutor(undefined),
    () => new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 5, onWorkerCrash: "replace", env: {}, cwd: "." }),
    () =>
      new ProcessPoolExecutor({
        maxWorkers: undefined,
        initializer: undefined,
        initargs: undefined,
        maxTasksPerChild: undefined,
        permissions: undefined,
        env: undefined,
        cwd: undefined,
        onWorkerCrash: undefined,
      }),
  ];
  for (const make of makes) make();
  assertEquals([startedWorkers() - before, childProcesses() ?? []], [0, []]);
  for (const make of makes) {
    using pool = make();
    assertInstanceOf(pool, Executor);
    await both(pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
  }
});

// deno-lint-ignore no-explicit-any
type Wrong = [option: string, error: new (...args: any[]) => Error, told: string[], ...values: unknown[]];
const COUNT = [TypeError, ["must be a number: "], "3", "", true, 2n, Symbol("x"), null, [], {}] as const;
const LOW = [RangeError, ["must be an integer of at least 1: "], 0, -1, 1.5, NaN, Infinity, -Infinity] as const;

const WRONG: Wrong[] = [
  ["maxWorkers", ...COUNT] as unknown as Wrong,
  ["maxWorkers", ...LOW] as unknown as Wrong,
  ["maxTasksPerChild", ...COUNT] as unknown as Wrong,
  ["maxTasksPerChild", ...LOW] as unknown as Wrong,
  ["initializer", TypeError, ["must be a function: "], 1, "", "square", {}, null, true],
  ["initargs", TypeError, ["must be an array of arguments: "], 1, "ab", {}, null, new Set([1])],
  ["onWorkerCrash", RangeError, ['"break"', '"replace"'], "", "Break", "restart", 1, null, true],
  ["permissions", TypeError, ['"inherit"', '"none"'], "", "all", 1, true, false, null, () => {}],
  ["permissions", TypeError, ["read", "import"], { reed: true }, { "allow-read": true }, { toString: true }, ["read"]],
  ["permissions", TypeError, ["permissions.read"], { read: 1 }, { read: "none" }, { read: null }, { read: "." }],
  ["permissions", TypeError, ["permissions.env"], { env: [1] }, { env: ["A", null] }, { env: {} }],
  ["env", TypeError, ["env"], 1, "A=1", null, true, ["A"], () => {}, new Map([["A", 1]])],
  ["env", TypeError, ["env.A"], { A: 1 }, { A: null }, { A: undefined }, { A: true }, { A: ["x"] }],
  ["cwd", TypeError, ["cwd"], 1, null, true, {}, ["."], new URL("https://example.com/")],
];

for (const [option, error, told, ...values] of WRONG) {
  test(`new ProcessPoolExecutor() refuses a wrong ${option} with a ${error.name} that tells ${told}`, () => {
    const Loose = ProcessPoolExecutor as unknown as new (value: unknown) => unknown;
    for (const value of values) {
      const what = Deno.inspect(value);
      const { message } = assertThrows(() => new Loose({ [option]: value }), error, option, what);
      for (const part of told) assertStringIncludes(message, part, what);
      const isSimple = typeof value !== "object" && typeof value !== "function";
      if (isSimple) assertStringIncludes(message, String(value), "the message shows the value");
    }
  });
}

test("new ProcessPoolExecutor() refuses as its only argument what is neither a number nor options", () => {
  const Loose = ProcessPoolExecutor as unknown as new (value: unknown) => unknown;
  for (const wrong of ["3", "", true, 2n, Symbol("x"), null, [], [4], () => {}]) {
    assertThrows(() => new Loose(wrong), TypeError, undefined, Deno.inspect(wrong));
  }
  for (const wrong of [0, -1, 1.5, NaN, Infinity]) assertThrows(() => new Loose(wrong), RangeError);
});

test("BrokenProcessPool is a BrokenExecutor and an Error", () => {
  const error = new BrokenProcessPool("text", { cause: 5, pid: 3, exitCode: 4, signal: null });
  assertInstanceOf(error, BrokenExecutor);
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.message, error.cause], ["BrokenProcessPool", "text", 5]);
  assertEquals([error.pid, error.exitCode, error.signal], [3, 4, null]);
});

// ---- processes on demand ------------------------------------------------------------------------------------------

test("ProcessPoolExecutor runs tasks in another process, and uses one that is idle again", async () => {
  using pool = new ProcessPoolExecutor(4);
  const pids = new Set<number>();
  for (let i = 0; i < 4; i++) {
    pids.add(await within(pool.submit(pid)));
    pids.add(pool.submit(() => Deno.pid).result(BOUND));
  }
  assertEquals(pids.size, 1);
  assert(!pids.has(Deno.pid));
  assertEquals(childProcesses() ?? [...pids].map(String), [...pids].map(String));
});

test("ProcessPoolExecutor starts a process by a submit while none is idle, and no more than maxWorkers", async () => {
  const before = startedWorkers();
  using pool = new ProcessPoolExecutor(3);
  await within(pool.submit(square, 1));
  for (let count = 1; count <= 3; count++) {
    using gate = new Gate();
    const gated = Array.from({ length: count }, () => pool.submit(pidAtGate, gate.path));
    await gate.arrived(count);
    assertEquals(childProcesses()?.length ?? count, count);
    gate.open();
    assertEquals(new Set(await within(Promise.all(gated))).size, count);
  }
  using gate = new Gate();
  const gated = Array.from({ length: 30 }, () => pool.submit(pidAtGate, gate.path));
  await gate.arrived(3);
  assertEquals(gated.filter((future) => future.running()).length, 3);
  assertEquals(gated.filter((future) => future.state === "PENDING").length, 27);
  assertEquals(childProcesses()?.length ?? 3, 3);
  gate.open();
  const pids = await within(Promise.all(gated));
  assertEquals(new Set(pids).size, 3);
  assert(!pids.includes(Deno.pid));
  assertEquals(startedWorkers() - before, 1, "one broker for all");
});

test("ProcessPoolExecutor: three gated tasks start three of eight processes, all end at shutdown", async () => {
  for (const blocking of [true, false]) {
    using gate = new Gate();
    const pool = new ProcessPoolExecutor(8);
    const gated = [1, 2, 3].map((n) => pool.submit(passGate<number>, gate.path, n));
    gate.arrivedSync(3);
    assertEquals(childProcesses()?.length ?? 3, 3);
    gate.open();
    if (blocking) pool.shutdownSync();
    else await within(pool.shutdown());
    assertEquals(childProcesses() ?? [], []);
    assertEquals(gated.map((future) => future.result(0)), [1, 2, 3]);
  }
});

test("ProcessPoolExecutor has navigator.hardwareConcurrency processes by default", async () => {
  const expected = navigator.hardwareConcurrency;
  using gate = new Gate();
  using pool = new ProcessPoolExecutor();
  const gated = Array.from({ length: expected + 5 }, () => pool.submit(pidAtGate, gate.path));
  await gate.arrived(expected);
  assertEquals(gated.filter((future) => future.running()).length, expected);
  gate.open();
  assertEquals(new Set(await within(Promise.all(gated))).size, expected);
});

test("ProcessPoolExecutor has module state for each process", async () => {
  using pool = new ProcessPoolExecutor(2);
  using gate = new Gate();
  const both = [1, 2].map(() => pool.submit(pidAtGate, gate.path));
  await gate.arrived(2);
  gate.open();
  const pids = await within(Promise.all(both));
  const counts = await within(Promise.all(Array.from({ length: 40 }, () => pool.submit(countHere))));
  for (const pid of pids) {
    const seen = counts.filter(([from]) => from === pid).map(([, calls]) => calls).sort((a, b) => a - b);
    assertEquals(seen, seen.map((_, i) => i + 1));
  }
  assertEquals(counts.every(([from]) => pids.includes(from)), true);
  assertEquals(countHere()[1], 1, "and of its own here");
});

// ---- where they run -----------------------------------------------------------------------------------------------

test("ProcessPoolExecutor env adds variables to those of the program", async () => {
  Deno.env.set("CF_TEST_OWN", "own");
  Deno.env.set("CF_TEST_BOTH", "own");
  const env = { CF_TEST_BOTH: "its", CF_TEST_EMPTY: "", CF_TEST_TEXT: 'a "b" = ä\n', PATH_LIKE: "x:y" };
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, env });
  const names = ["CF_TEST_OWN", "CF_TEST_NOT", ...Object.keys(env)];
  assertEquals(await within(pool.submit(envOf, names)), ["own", undefined, ...Object.values(env)]);
  assertEquals(Deno.env.get("CF_TEST_BOTH"), "own");
  Deno.env.delete("CF_TEST_OWN");
  Deno.env.delete("CF_TEST_BOTH");
});

test("ProcessPoolExecutor cwd is the working directory of tasks: a path, a relative one or a file: URL", async () => {
  const folder = temporaryPath("folder with ä and %20");
  Deno.mkdirSync(folder);
  const real = Deno.realPathSync(folder);
  const relative = "tests/fixtures";
  const url = new URL("file:///");
  url.pathname = real.replaceAll("%", "%25");
  const places: [ProcessPoolExecutorOptions["cwd"], string][] = [
    [undefined, Deno.cwd()],
    [folder, real],
    [url, real],
    [relative, Deno.realPathSync(relative)],
  ];
  for (const [cwd, expected] of places) {
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, cwd });
    assertEquals((await within(pool.submit(surroundings))).cwd, expected);
    assertEquals(pool.submit(() => Deno.cwd()).result(BOUND), expected);
  }
});

test("ProcessPoolExecutor with a cwd that is no folder is broken, and says which", async () => {
  const file = temporaryPath("a-file");
  Deno.writeTextFileSync(file, "");
  for (const cwd of [temporaryPath("missing"), file]) {
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, cwd });
    await bothFail(pool.submit(square, 1), (error) => {
      assertInstanceOf(error, BrokenProcessPool);
      assertStringIncludes(error.message, cwd);
      assertEquals([error.pid, error.exitCode], [undefined, undefined]);
    });
    assertThrows(() => pool.submit(square, 1), BrokenProcessPool, cwd);
  }
});

test("ProcessPoolExecutor: tasks see the arguments and the main module of the program", async () => {
  const args = ["--flag", "a b", "--", "", "ä", "--allow-all", "-x"];
  const { own, ...seen } = await outputOf("child_arguments.ts", args);
  assertEquals(own, [args, new URL("../fixtures/programs/child_arguments.ts", import.meta.url).href]);
  assertEquals(seen, { args: own[0], mainModule: own[1], main: true });
});

test("ProcessPoolExecutor: timers of an earlier task go on while a later one awaits", async () => {
  using pool = new ProcessPoolExecutor(1);
  await within(pool.submit(startTicking));
  assert(await within(pool.submit(awaitTicks, 20)) >= 20);
  assert(pool.submit(awaitTicks, 20).result(BOUND) >= 20);
  await within(pool.submit(echoLater<number>, 1, 5));
});

test("ProcessPoolExecutor: idle processes use no CPU, also after output, failures and replacements", async () => {
  await bestOf(3, async () => {
    const used = await outputOf("idle_processes.ts", []);
    for (const [what, share] of Object.entries(used)) assert(share as number <= 1.5, `${what}: ${share} % of a CPU`);
  });
}, { linuxOnly: true, bound: 60_000 });

// ---- maxTasksPerChild ---------------------------------------------------------------------------------------------

for (const most of [1, 2, 3]) {
  // Two processes do all that they may, and a third one has one task.
  const count = 2 * most + 1;
  test(
    `ProcessPoolExecutor maxTasksPerChild: ${most} gives one process ${most} of ${count} tasks, then replaces it`,
    async () => {
      const expected = [most, most, 1];
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: most });
      for (const way of ["at once", "awaited", "blocking"]) {
        const seen: [number, number][] = [];
        if (way === "at once") {
          seen.push(...await within(Promise.all(Array.from({ length: count }, () => pool.submit(countHere)))));
        } else {
          for (let i = 0; i < count; i++) {
            const future = pool.submit(countHere);
            seen.push(way === "awaited" ? await within(future) : future.result(BOUND));
          }
        }
        const pids = seen.map(([pid]) => pid);
        assertEquals([...new Set(pids)].map((pid) => pids.filter((other) => other === pid).length), expected, way);
        assertEquals(seen.map(([, calls]) => calls), seen.map((_, i) => i % most + 1), way);
        // The third one does the rest that it may.
        for (let i = 1; i < most; i++) assertEquals(await within(pool.submit(countHere)), [pids.at(-1)!, i + 1]);
      }
    },
  );
}

test("ProcessPoolExecutor maxTasksPerChild counts tasks that fail, and those that take their time", async () => {
  using failing = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 2 });
  const futures = Array.from({ length: 6 }, (_, i) => i % 2 === 0 ? failing.submit(failWithPid) : failing.submit(pid));
  const outcomes = await within(Promise.allSettled(futures));
  const pids = outcomes.map((o) => o.status === "fulfilled" ? Number(o.value) : Number(o.reason.message));
  assertEquals([...new Set(pids)].length, 3);
  assertEquals(pids.every((pid, i) => pid === pids[i - i % 2]), true);
  using slow = new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 3 });
  const later = await within(Promise.all(Array.from({ length: 8 }, (_, i) => slow.submit(pidLater, i % 5))));
  for (const one of new Set(later)) assert(later.filter((other) => other === one).length <= 3);
});

test(
  "ProcessPoolExecutor maxTasksPerChild strands no work in a burst, in map() and behind cancelled tasks",
  async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 1 });
    const futures = Array.from({ length: 10 }, (_, i) => pool.submit(square, i));
    for (let i = 4; i < 10; i += 4) futures[i].cancel();
    await within(wait(futures), "10 tasks", 20_000);
    for (const [i, future] of futures.entries()) if (!future.cancelled()) assertEquals(future.result(0), i * i);
    const mapped = [...pool.map(square, Array.from({ length: 20 }, (_, i) => i), { chunksize: 5, timeout: 20_000 })];
    assertEquals(mapped, Array.from({ length: 20 }, (_, i) => i * i));
  },
  { bound: 60_000 },
);

test("ProcessPoolExecutor maxTasksPerChild goes on after shutdown({ wait: false }) and in shutdownSync()", async () => {
  for (const waits of [false, true]) {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 2 });
    const futures = Array.from({ length: 5 }, () => pool.submit(pid));
    if (waits) pool.shutdownSync();
    else await pool.shutdown({ wait: false });
    const pids = await within(Promise.all(futures));
    assertEquals(new Set(pids).size, 3);
    await within(pool.shutdown());
  }
});

test("ProcessPoolExecutor maxTasksPerChild calls the initializer in each process", async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1, initializer: countHere });
  for (let i = 0; i < 3; i++) assertEquals((await within(pool.submit(countHere)))[1], 2);
});
