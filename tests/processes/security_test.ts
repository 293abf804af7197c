/** What the section on security of executors/processes/README.md claims, against tasks that attack the program. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import {
  BrokenProcessPool,
  type Executor,
  type Future,
  ProcessPoolExecutor,
  SerializationError,
  TaskExitError,
  ThreadPoolExecutor,
  TimeoutError,
} from "@concurrent/futures";
import {
  both,
  bothFail,
  BOUND,
  Gate,
  outputOf,
  rejectionOf,
  runProgram,
  startedWorkers,
  temporaryPath,
  test,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import {
  changeRealm,
  end,
  failWithGarbage,
  failWithNoError,
  forge,
  FORGED,
  forgeries,
  giveBack,
  isRealmFresh,
  makeThenable,
  makeView,
  pollution,
  sayEndlessly,
  sayGarbage,
  tellToken,
  watchForToken,
} from "../fixtures/hostile_tasks.ts";
import { query } from "../fixtures/sandboxed.ts";
import { echo, passGate } from "../fixtures/tasks.ts";
import { keepReplaced, lend, lendReplacing } from "./_replacing.ts";

// ---- forged answers -----------------------------------------------------------------------------------------------

/** Those that answer for their own task before. */
const ANSWER = Object.keys(forgeries).filter((what) => what.startsWith("its answer"));

/**
 * Those that also end a pool which breaks: what comes behind an answer, and one for each place that a broker finds
 * fault with. What a pool does about it is the same for all that are found there.
 */
const BREAKING = [
  ...ANSWER,
  "an answer to the next task",
  "a header that is no JSON",
  "a length that is a text",
  "a header of more results than tasks",
  "bytes of no kind of block",
];

/** Has the process of a pool that runs the next task find out what its packets begin with: when it says something. */
async function learnToken(pool: ProcessPoolExecutor): Promise<void> {
  do {
    await within(pool.submit(watchForToken));
    // Its result may be said by the reading thread, which no task sees.
    await within(pool.submit(echo, 1));
  } while ((await within(pool.submit(tellToken))).token === undefined);
}

/** Fails unless an error says that a process was ended for what it said. */
function assertEnded(error: unknown): void {
  assertInstanceOf(error, BrokenProcessPool);
  assertMatch(error.message, /^Process \d+ was killed by signal SIGKILL while it was (running a task|idle)\. /);
  assertStringIncludes(error.message, "because it sent what no process of a pool sends (");
}

/** Replaces the processes that forge. */
const replacing = lendReplacing();
/** Gives each task a process of its own. */
const eachOwn = lend({ maxWorkers: 2, maxTasksPerChild: 1, onWorkerCrash: "replace" });
/** Has one process that may do nothing. */
const powerless = lend({ maxWorkers: 1, permissions: "none" });

/** Has one process of a pool forge its answer while another one runs a task. */
async function attack<T>(
  what: string,
  pool: ProcessPoolExecutor,
  check: (pool: ProcessPoolExecutor, neighbour: Future<string>, gate: Gate) => Promise<T>,
): Promise<void> {
  using gate = new Gate();
  const neighbour = pool.submit(passGate<string>, gate.path, "neighbour");
  await gate.arrived();
  const own = pool.submit(forge, what);
  const error = own.exception(BOUND);
  if (ANSWER.includes(what)) assertEquals([error, own.result()], [null, FORGED]);
  else assertEnded(error);
  await check(pool, neighbour, gate);
}

for (const what of Object.keys(forgeries)) {
  test(`ProcessPoolExecutor kills a process that says ${what}: no other task gets its answer`, async () => {
    if (BREAKING.includes(what)) {
      await using breaking = new ProcessPoolExecutor(2);
      await attack(what, breaking, async (pool, neighbour) => {
        if (what.endsWith("the same for the next task")) pool.submit(echo, "next");
        await bothFail(neighbour, (error) => assertEnded(error));
        assertInstanceOf(thrownBy(() => pool.submit(echo, 1)), BrokenProcessPool);
      });
    }
    // One that lies only about the next task lives until it gets one.
    const own = what.endsWith("the same for the next task")
      ? new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: "replace" })
      : undefined;
    await attack(what, own ?? replacing(), async (pool, neighbour, gate) => {
      const { restarts } = pool.stats();
      assertEquals([neighbour.done(), neighbour.running()], [false, true]);
      gate.open();
      await both(neighbour, (value) => assertEquals(value, "neighbour"));
      // One that has answered may be given a task before it is killed.
      if (!ANSWER.includes(what)) await both(() => pool.submit(echo, "after"), (value) => assertEquals(value, "after"));
      else if (own === undefined) {
        // For the next test.
        await until(() => pool.stats().workers < 2 || pool.stats().restarts > restarts, "the end of its process");
      }
    });
    await own?.shutdown();
    await keepReplaced();
    assertEquals(pollution(), []);
  });
}

for (const what of ANSWER) {
  test(`ProcessPoolExecutor maxTasksPerChild: 1 with a process that says ${what} runs all other tasks`, async () => {
    const pool = eachOwn();
    using gate = new Gate();
    const neighbour = pool.submit(passGate<string>, gate.path, "neighbour");
    await gate.arrived();
    assertEquals(await within(pool.submit(forge, what)), FORGED);
    for (let i = 0; i < 2; i++) assertEquals(await within(pool.submit(echo, i)), i);
    assertEquals([neighbour.done(), neighbour.running()], [false, true]);
    gate.open();
    await both(neighbour, (value) => assertEquals(value, "neighbour"));
  });
}

for (const as of ["the main thread", "the reading thread"] as const) {
  test(`ProcessPoolExecutor kills a process that gives back what has begun as ${as}, when it is asked`, async () => {
    await using pool = new ProcessPoolExecutor(1);
    await learnToken(pool);
    await bothFail(pool.submit(giveBack, as), (error) => assertEnded(error));
  });
}

test("ProcessPoolExecutor starts no processes for ever when an initializer answers with what is no error", async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, initializer: failWithNoError, onWorkerCrash: "replace" });
  await bothFail(pool.submit(echo, 1), (error) => {
    assertInstanceOf(error, BrokenProcessPool);
    assertStringIncludes(error.message, "because it sent what no process of a pool sends (");
    assertStringIncludes(error.message, "The last 3 processes died while they were starting");
  });
});

for (const what of ["the size of a packet", "a header in packets"] as const) {
  test(`ProcessPoolExecutor kills a process that says ${what} without an end, at once`, async () => {
    const pool = replacing();
    using gate = new Gate();
    const neighbour = pool.submit(passGate<string>, gate.path, "neighbour");
    await gate.arrived();
    await learnToken(pool);
    await bothFail(pool.submit(sayEndlessly, what), (error) => assertEnded(error));
    gate.open();
    await within(neighbour, "the neighbour", 2_000);
    await within(pool.submit(echo, 1), "the next task", 2_000);
    await keepReplaced();
  });
}

for (const what of ["a result", "the error of an initializer"]) {
  test(`ProcessPoolExecutor fails only what ${what} is for, when its bytes are none of a value`, async () => {
    if (what === "a result") {
      using pool = new ProcessPoolExecutor(1);
      await bothFail(pool.submit(sayGarbage), (error) => {
        assertInstanceOf(error, SerializationError);
        assertInstanceOf(error.cause, SyntaxError);
      });
      // It answers nothing any more.
      pool.killWorkers();
    } else {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, initializer: failWithGarbage });
      await bothFail(pool.submit(echo, 1), (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertInstanceOf(error.cause, SerializationError);
      });
    }
    assertEquals(pollution(), []);
  });
}

test("ProcessPoolExecutor breaks by forgeries that there are", () => {
  for (const what of BREAKING) assert(Object.hasOwn(forgeries, what), what);
});

// ---- nothing that arrives is evaluated ----------------------------------------------------------------------------

const CODE = "data:application/javascript,self.close()";

for (
  const [type, ...args] of [
    ["Function", "return 1"],
    ["Worker", CODE, { type: "module" }],
    ["WebSocket", "ws://127.0.0.1:9"],
    ["EventSource", "http://127.0.0.1:9"],
    ["eval", "1"],
    ["Proxy", {}, {}],
    ["__proto__", 1],
    ["constructor", 1],
    ["ArrayBuffer", 8],
  ] as [string, ...unknown[]][]
) {
  test(`ProcessPoolExecutor makes no ${type} of what a process sends as a view of a buffer`, async () => {
    const before = startedWorkers();
    const future = powerless().submit(makeView, type, ...args);
    await bothFail(future, (error) => {
      assertInstanceOf(error, SerializationError);
      assertStringIncludes(error.message, `Cannot read an unknown view of a buffer: ${JSON.stringify(type)}`);
    });
    assertEquals(startedWorkers(), before);
    await keepReplaced();
  });
}

test("ProcessPoolExecutor: a result that a process makes up has no function called then", async () => {
  assertInstanceOf(await rejectionOf(powerless().submit(makeThenable)), SerializationError);
  await keepReplaced();
});

// ---- keys ---------------------------------------------------------------------------------------------------------

const KINDS: [string, () => Executor][] = [
  ["ThreadPoolExecutor", () => new ThreadPoolExecutor(1)],
  ["ProcessPoolExecutor", () => new ProcessPoolExecutor(1)],
];

// Deno has no setter called __proto__, unless it is told to have it.
for (const flag of ["--quiet", "--unstable-unsafe-proto"]) {
  for (const [name] of KINDS) {
    test(`${name}: __proto__ and constructor are keys like others, and pollute nothing: ${flag}`, async () => {
      assertEquals(await outputOf("security.ts", ["keys", name], { flags: ["-A", flag] }), {
        rounds: 7,
        isSet: flag !== "--quiet",
      });
    });
  }
}

test("new ProcessPoolExecutor() takes no permission from __proto__", () => {
  const permissions = JSON.parse('{"__proto__":{"run":true}}');
  assertInstanceOf(thrownBy(() => new ProcessPoolExecutor({ permissions })), TypeError);
});

// ---- what a task may do, and what it finds ------------------------------------------------------------------------

const FEW = ["--allow-run", "--allow-read"];

test("ThreadPoolExecutor: tasks have the permissions of the program, no more and no less", async () => {
  for (const flags of [["-A"], FEW, ["--allow-read", "--allow-env=HOME"], ["-A", "--deny-net"]]) {
    const { program, task } = await outputOf("security.ts", ["permissions"], { flags });
    assertEquals(task, program, flags.join(" "));
  }
});

test('ProcessPoolExecutor permissions: "none" leaves the imports that Deno allows every program', async () => {
  const hosts = ["esm.sh:443", "localhost:443"].map((host) => ({ name: "import", host } as Deno.PermissionDescriptor));
  assertEquals(await within(powerless().submit(query, hosts)), ["granted", "prompt"]);
  await keepReplaced();
});

for (const [name, make] of KINDS) {
  test(`${name}: what a task changes in its worker, only later tasks of that worker find`, async () => {
    using pool = make();
    using other = make();
    await within(pool.submit(changeRealm));
    assertEquals(await within(pool.submit(isRealmFresh)), [false, false, false]);
    assertEquals(await within(other.submit(isRealmFresh)), [true, true, true]);
    assertEquals(isRealmFresh(), [true, true, true]);
  });

  for (const how of ["Deno.exit", "self.close"] as const) {
    test(`${name}: ${how}() ends a task and not the program, nor its worker`, async () => {
      using pool = make();
      await bothFail(pool.submit(end, how), (error) => assertInstanceOf(error, TaskExitError));
      assertEquals(await within(pool.submit(echo, 1)), 1);
    });
  }
}

test("ProcessPoolExecutor maxTasksPerChild: 1 gives each task globals and modules of its own", async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1 });
  await within(pool.submit(changeRealm));
  assertEquals(await within(pool.submit(isRealmFresh)), [true, true, true]);
});

test(
  "ProcessPoolExecutor with({ timeout }) ends code that is not trusted, whatever it does, and no other code",
  async () => {
    await using pool = new ProcessPoolExecutor({
      maxWorkers: 2,
      maxTasksPerChild: 1,
      permissions: "none",
      onWorkerCrash: "replace",
    });
    const evaluate = (text: string): unknown => new Function(text)();
    for (
      const text of [
        "performance.now = Date.now = Atomics.load = () => 0; setTimeout = () => 0; for (;;);",
        "for (;;) try { for (;;); } finally { continue }",
        "return { get loop() { for (;;); } }",
        "return new Promise(() => {})",
      ]
    ) {
      const other = pool.submit(evaluate, "return 6 * 7");
      const future = pool.with({ timeout: 100 }).submit(evaluate, text);
      assertInstanceOf(await rejectionOf(future), TimeoutError, text);
      assertEquals(await within(other), 42, text);
    }
    // What loops on behind its result goes with its process, which the end of the test looks for.
    assertEquals(await within(pool.submit(evaluate, "setTimeout(() => { for (;;); }); return 1")), 1);
    assertEquals(await within(pool.submit(evaluate, "return 2")), 2);
  },
  { bound: 60_000 },
);

test("ProcessPoolExecutor works with --allow-run and --allow-read alone, and leaves no file anywhere", async () => {
  const folder = temporaryPath("empty");
  Deno.mkdirSync(folder);
  // Where programs put temporary files, on any system.
  const env = { TMPDIR: folder, TEMP: folder, TMP: folder };
  const { during, values } = await outputOf("security.ts", ["files", folder], { flags: FEW, env, cwd: folder });
  assertEquals([during, values], [[], [2, "x".repeat(300_000), 3]]);
  assertEquals([...Deno.readDirSync(folder)], []);
});

test("ProcessPoolExecutor: a token is in no argument or variable, and worth nothing to another process", async () => {
  const { code, stdout, stderr } = await runProgram("security.ts", ["tokens", temporaryPath("gate")]);
  assertEquals([code, stderr], [0, ""]);
  // All that was printed is there, byte for byte, and what the program found after it.
  const { tokens, places, forged, isUntouched, results } = JSON.parse(stdout.slice(stdout.lastIndexOf("\n{") + 1));
  assertEquals(tokens.map((token: string) => /^[0-9a-f]{32}$/.test(token)), [true, true]);
  assert(tokens[0] !== tokens[1], "two processes have one token");
  for (const place of places) assert(!place.includes(tokens[0]), place);
  assertEquals(stdout.slice(0, stdout.lastIndexOf("\n{") + 1), forged);
  assertEquals([isUntouched, ...results], [true, "victim", "printed", "after"]);
});
