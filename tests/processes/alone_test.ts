/**
 * {@linkcode ProcessPoolExecutor}: a process that is alone with its first task. Its main thread reads its input by
 * itself, and a thread of its own does from the second task on.
 */
import { assert, assertEquals, assertInstanceOf, assertNotEquals, assertStringIncludes } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor, taskRef } from "@concurrent/futures";
import { bestOf, bothFail, BOUND, Gate, Ledger, sleep, test, thrownBy, until, within } from "../_helpers.ts";
import { commandOf, isAlive, Running, workersOf } from "../_start.ts";
import { awaitAbort, leaveAsking, loopUntil, loopUntilAborted } from "../fixtures/control_tasks.ts";
import type { record } from "../fixtures/tasks.ts";
import {
  linger,
  pauseAndLinger,
  pauseFor,
  pauseForEver,
  pid,
  pidAtGate,
  pidLater,
  readStdinLater,
} from "../fixtures/process_tasks.ts";
import { type Emptied, lendEmpty } from "./_replacing.ts";

const tasks = import.meta.resolve("../fixtures/tasks.ts");

/** Tasks that take long pause here, which costs nothing: a process that computes attends to its input no better. */
const lent = { break: lendEmpty("break"), replace: lendEmpty("replace") };

/** A pool for a test that breaks it. */
function ownPool(): Emptied {
  const pool = new ProcessPoolExecutor(1);
  return { pool, [Symbol.asyncDispose]: () => pool.shutdown() };
}

test("ProcessPoolExecutor: a process starts a thread for its second task, and none for the first", async () => {
  await using taken = await lent.break();
  const { pool } = taken;
  const child = await within(pool.submit(pid));
  assertEquals(workersOf(child), 0);
  assertEquals([await within(pool.submit(pid)), workersOf(child)], [child, 1]);
  assertEquals([await within(pool.submit(pid)), workersOf(child)], [child, 1]);
}, { linuxOnly: true });

test("ProcessPoolExecutor: one task has one process start a thread, and not all that are idle", async () => {
  using pool = new ProcessPoolExecutor(4);
  using gate = new Gate();
  const futures = [0, 1, 2, 3].map(() => pool.submit(pidAtGate, gate.path));
  await gate.arrived(4);
  gate.open();
  const children = await within(Promise.all(futures));
  assertEquals(children.map(workersOf), [0, 0, 0, 0]);
  const child = await within(pool.submit(pid));
  assertEquals(workersOf(child), 1);
  // A loaded machine may need longer than the next one is given.
  assert(children.map(workersOf).includes(0), `${children.map(workersOf)}`);
  // It has a thread already, so it gets the next one, too.
  const begun = children.map(workersOf);
  assertEquals(begun[children.indexOf(await within(pool.submit(pid)))], 1);
}, { linuxOnly: true });

test(
  "ProcessPoolExecutor: a process starts a thread for a first task that awaits, or has to hear something",
  async () => {
    const { signal } = new AbortController();
    const tasks: ((pool: ProcessPoolExecutor) => PromiseLike<number>)[] = [
      (pool) => pool.submit(pidLater, 0),
      (pool) => pool.submit((_: AbortSignal) => Deno.pid, signal),
      (pool) => pool.submit(() => new Promise<number>((resolve) => resolve(Deno.pid))),
      async (pool) =>
        (await Array.fromAsync(pool.with({ signal }).map((_: number) => Deno.pid, [1, 2], { chunksize: 2 })))[0],
      async (pool) =>
        (await Array.fromAsync(pool.map(async (_: number) => await Deno.pid, [1, 2], { chunksize: 2 })))[0],
    ];
    for (const [i, submit] of tasks.entries()) {
      await using taken = await lent.break();
      const { pool } = taken;
      assertEquals(workersOf(await within(submit(pool))), 1, `task ${i}`);
    }
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, initializer: () => {} });
    assertEquals(workersOf(await within(pool.submit(pid))), 1);
  },
  { linuxOnly: true },
);

test("ProcessPoolExecutor: a first task that is aborted while its module loads for long does not begin", async () => {
  await using taken = await lent.break();
  const { pool } = taken;
  using gate = new Gate();
  const ledger = new Ledger();
  const pids = new Ledger();
  const module = `import { passGateLater, record } from "${tasks}";
    record("${pids.path}", Deno.pid);
    await passGateLater("${gate.path}");
    export { record };`;
  const ref = taskRef<typeof record>(`data:application/javascript,${encodeURIComponent(module)}`, "record");
  const future = pool.with({ grace: BOUND }).submit(ref, ledger.path, 1);
  await gate.arrived();
  future.abort();
  await until(() => workersOf(pids.numbers()[0]) === 1, "the thread that reads the input of its process");
  // Until that has read it, which nobody can see.
  await sleep(300);
  gate.open();
  await bothFail(future, (error) => assertEquals((error as Error).name, "AbortError"));
  assertEquals(ledger.lines(), []);
}, { linuxOnly: true });

test("ProcessPoolExecutor: the first task of a process hears in a loop that it is aborted", async () => {
  await using taken = await lent.break();
  const { pool } = taken;
  const ledger = new Ledger();
  const future = pool.with({ grace: BOUND }).submit(loopUntilAborted, ledger.path);
  await until(() => ledger.lines().length === 1, "its begin");
  future.abort();
  await bothFail(future, (error) => assertEquals((error as Error).name, "AbortError"));
  assertEquals(ledger.lines(), ["begun", "AbortError"]);
});

test("ProcessPoolExecutor: the first task of a process hears in its event loop that it is aborted", async () => {
  await using taken = await lent.break();
  const { pool } = taken;
  const ledger = new Ledger();
  const future = pool.with({ grace: BOUND }).submit(awaitAbort, ledger.path);
  await until(() => ledger.lines().length === 1, "its begin");
  future.abort();
  await bothFail(future, (error) => assertEquals((error as Error).name, "AbortError"));
  assertEquals(ledger.lines(), ["begun", "true AbortError"]);
});

test("ProcessPoolExecutor: the first task of a process sees in a loop that a signal is aborted", async () => {
  await using taken = await lent.break();
  const { pool } = taken;
  const ledger = new Ledger();
  const controller = new AbortController();
  const future = pool.submit(loopUntil, { signal: controller.signal }, ledger.path);
  await until(() => ledger.lines().length === 1, "its begin");
  controller.abort();
  await within(future);
});

for (const onWorkerCrash of ["break", "replace"] as const) {
  const name = `ProcessPoolExecutor {${onWorkerCrash}}`;

  test(`${name}: an endless loop in a first task ends with its process, and the next one runs`, async () => {
    await bestOf(3, async () => {
      await using taken = await lent[onWorkerCrash]();
      const { pool } = taken;
      const ledger = new Ledger();
      const loop = pool.with({ grace: 0 }).submit(pauseForEver, ledger.path);
      await until(() => ledger.numbers().length > 0, "its begin");
      // Longer than it takes until it is asked whether its input was read, which it cannot answer.
      await sleep(1_100);
      const since = performance.now();
      loop.abort();
      await bothFail(loop, (error) => assertEquals((error as Error).name, "AbortError"));
      await until(() => !isAlive(ledger.numbers()[0]), "the end of its process");
      const ms = performance.now() - since;
      await within(pool.submit(pid));
      assert(ms < 400, `${ms} ms`);
    });
  }, { linuxOnly: true });

  test(`${name}: a first task that has run for too long ends with its process`, async () => {
    await using taken = await lent[onWorkerCrash]();
    const { pool } = taken;
    const loop = pool.with({ timeout: 600, grace: 0 }).submit(pauseForEver, new Ledger().path);
    await bothFail(loop, (error) => assertEquals((error as Error).name, "TimeoutError"));
    await within(pool.submit(pid));
  });

  test(`${name}: what a first task has left behind holds up no other task`, async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
    using gate = new Gate();
    const left = pool.submit(linger, "a timer that a task has left behind", gate.path);
    await within(left);
    gate.arrivedSync();
    assertEquals(pool.stats().workers, 1);
    const other = await within(pool.submit(pid), "a task that another process runs");
    gate.open();
    // Both at once: the first one has come back.
    using both = new Gate();
    const futures = [0, 1].map(() => pool.submit(pidAtGate, both.path));
    await both.arrived(2);
    both.open();
    assert((await within(Promise.all(futures))).includes(other));
  });

  test(`${name}: behind what a first task has left behind a task is pending, and can be cancelled`, async () => {
    await using taken = await lent[onWorkerCrash]();
    const { pool } = taken;
    using gate = new Gate();
    await within(pool.submit(linger, "a timer that a task has left behind", gate.path));
    gate.arrivedSync();
    const ledger = new Ledger();
    const future = pool.submit((path: string) => Deno.writeTextFileSync(path, "1\n", { append: true }), ledger.path);
    await sleep(50);
    assertEquals(future.state, "PENDING");
    assert(future.cancel());
    gate.open();
    await within(pool.submit(pid));
    assertEquals(ledger.lines(), []);
  });

  // One waits for more and more, the other returns what it has read.
  for (
    const [way, read] of [
      ["readFileSync", () => process.getBuiltinModule("node:fs").readFileSync(0).length],
      ["readSync", () => process.getBuiltinModule("node:fs").readSync(0, new Uint8Array(10))],
    ] as const
  ) {
    test(`${name}: a first task that reads its input by ${way}() fails, nothing waits for it`, async () => {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
      await bothFail(pool.submit(read), (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertStringIncludes(error.message, "read the standard input");
      });
    }, { linuxOnly: true });
  }

  test(`${name}: the time of a first task begins also when its module has taken long to load`, async () => {
    await using taken = await lent[onWorkerCrash]();
    const { pool } = taken;
    const module = `import { pause } from "${tasks}";
      await new Promise((resolve) => setTimeout(resolve, 900));
      export function loop() { for (;;) pause(10); }`;
    const loop = pool.with({ timeout: 300, grace: 0 }).submit(
      taskRef(`data:application/javascript,${encodeURIComponent(module)}`, "loop"),
    );
    await bothFail(loop, (error) => assertEquals((error as Error).name, "TimeoutError"));
  });

  test(`${name}: a first task that asks late whether it is to end leaves the input to its process`, async () => {
    await using taken = await lent[onWorkerCrash]();
    const { pool } = taken;
    const ledger = new Ledger();
    await within(pool.submit(leaveAsking, 1, ledger.path));
    await until(() => ledger.lines().length > 0, "that it has asked");
    const child = await within(pool.submit(pid));
    assertEquals(await within(Promise.all([1, 2, 3].map(() => pool.submit(pid)))), [child, child, child]);
  });

  test(`${name}: a process whose first task has left a reader behind runs no other one`, async () => {
    const readAlone = (length: number) => {
      process.getBuiltinModule("node:fs").read(0, new Uint8Array(length), 0, length, null, () => {});
    };
    // It reads the message that a thread shall attend to the input, or what comes behind that, whole or in part.
    for (const [leave, length] of [[readAlone, 10], [readAlone, 1 << 16], [readStdinLater, 1 << 16]] as const) {
      const runOne = async () => {
        await using taken = onWorkerCrash === "break" ? ownPool() : await lent.replace();
        const { pool } = taken;
        const says = (error: unknown) => assertStringIncludes((error as Error).message, "read the standard input");
        const first = await within<unknown>(
          pool.submit<[number], unknown>(leave, length).then(() => {}, (error) => error),
        );
        if (first !== undefined) {
          // A slow process is asked before it has answered, and the reader takes that message: its own task fails.
          says(first);
          if (onWorkerCrash === "replace") await within(pool.submit(pid));
          else says(thrownBy(() => pool.submit(pid)));
          return;
        }
        let next = pool.submit(pid);
        if (onWorkerCrash === "break" && leave === readStdinLater) {
          // A thread reads the input of this process, and may come before that reader: then the next message is for it.
          while (await within(next.then(() => true, () => false))) next = pool.submit(pid);
        }
        // What was given to that process fails. What waited for it runs in another one.
        if (onWorkerCrash === "replace") await within<unknown>(leave === readAlone ? next : next.then(() => {}, says));
        else await bothFail(next, says);
      };
      // To load a task may take a busy machine so long that a thread attends to the input: then it gets the next one.
      await bestOf(onWorkerCrash === "replace" && leave === readAlone ? 5 : 1, runOne);
    }
  }, { linuxOnly: true });
}

test(
  "ProcessPoolExecutor: the result of a first task that took long does not wait for what it left behind",
  async () => {
    await using taken = await lent.break();
    const { pool } = taken;
    using gate = new Gate();
    const child = await within(pool.submit(pauseAndLinger, 1_100, gate.path));
    gate.arrivedSync();
    gate.open();
    assertEquals(await within(pool.submit(pid)), child);
  },
  { linuxOnly: true },
);

test(
  "ProcessPoolExecutor: a first task that took long and whose output nobody reads has not read its input",
  async () => {
    const ledger = new Ledger();
    // More than two pipes hold, and less than they hold together with what the pool has read.
    const program = commandOf("prints_much.ts", ["150000", "1100", ledger.path]).spawn();
    await until(() => ledger.lines().length > 0, "the end of its first task");
    // As long as it takes until a process is killed whose input somebody else has read.
    await sleep(2_000);
    const { stdout, code } = await within(program.output());
    assertEquals([stdout.length, new TextDecoder().decode(stdout.slice(150_001)), code], [150_006, "true\n", 0]);
  },
  { linuxOnly: true },
);

test("ProcessPoolExecutor: a first task may replace what its process answers with", async () => {
  for (
    const replace of [
      () => Deno.stdout.writeSync = (bytes) => bytes.length,
      () => JSON.parse = () => ({}),
    ]
  ) {
    await using taken = await lent.break();
    const { pool } = taken;
    const text = String(replace);
    const child = await within(pool.submit(
      (text: string, ms: number) => {
        (0, eval)(text)();
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
        return Deno.pid;
      },
      text,
      1_100,
    ));
    assertEquals(await within(pool.submit(pid)), child, text);
  }
});

for (
  const [what, flags, workers] of [["", ["-A"], 0], [", which may start nothing but Deno", [
    "--allow-read",
    `--allow-run=${Deno.execPath()}`,
  ], 1]] as const
) {
  test(`ProcessPoolExecutor: the first tasks compute when their program is killed${what}: none goes on`, async () => {
    await using program = new Running("computes.ts", [], [...flags, "--quiet"]);
    const pids = [Number(await within(program.line())), Number(await within(program.line()))];
    assertEquals(pids.map(isAlive), [true, true]);
    assertEquals(pids.map(workersOf), [workers, workers]);
    program.child.kill("SIGKILL");
    await within(program.child.status);
    await until(() => !pids.some(isAlive), "the end of its processes", 5_000);
  }, { linuxOnly: true });
}

test("Keeper: kills the processes of a program that has died, but for those that it has forgotten", async () => {
  const program = commandOf("keeps.ts", []).spawn();
  const reader = program.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const [kept, forgotten]: number[] = JSON.parse((await within(reader.read())).value!);
  try {
    program.kill("SIGKILL");
    await within(program.status);
    await until(() => !isAlive(kept), "the end of what was kept", 5_000);
    assert(isAlive(forgotten));
  } finally {
    Deno.kill(forgotten, "SIGKILL");
    await reader.cancel();
    await program.stderr.cancel();
  }
}, { linuxOnly: true });

test("ProcessPoolExecutor: a first task that computes for long keeps its process", async () => {
  await using taken = await lent.break();
  const { pool } = taken;
  const child = await within(pool.submit(pauseFor, 2_500));
  assertEquals(await within(pool.submit(pid)), child);
});

test("ProcessPoolExecutor maxTasksPerChild: a process that computes on after its last task is killed", async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1 });
  const before = await within(pool.submit(() => {
    setTimeout(() => {
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }, 0);
    return Deno.pid;
  }));
  assertNotEquals(await within(pool.submit(pid)), before);
  await until(() => !isAlive(before), "its end", 5_000);
}, { linuxOnly: true });
