/**
 * {@linkcode ProcessPoolExecutor}: processes that die while they import or run a task, or are idle; in both modes.
 *
 * Over 400 lines: all ways to die go through one check, which is in it.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import {
  BrokenExecutor,
  BrokenProcessPool,
  type Future,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  TaskExitError,
  taskRef,
} from "@concurrent/futures";
import {
  both,
  bothFail,
  BOUND,
  childProcesses,
  Gate,
  rejectionOf,
  temporaryPath,
  test,
  thrownBy,
  until,
  untilSync,
  within,
} from "../_helpers.ts";
import {
  awaitForever,
  endAbruptly,
  exhaustHeap,
  killAtGate,
  killSelf,
  killSelfAt,
  killSelfLater,
  ownPid,
  spinForever,
} from "../fixtures/crash_tasks.ts";
import { makeError, rejectValue, throwValue } from "../fixtures/errors.ts";
import { add, echo, passGate, square } from "../fixtures/tasks.ts";
import { denoThrough } from "../_projects.ts";
import { assertSame } from "../_same.ts";
import { assertDeath, type End, isBlocking, MODES } from "./_death.ts";
import { keepReplaced, lend, lendReplacing } from "./_replacing.ts";

const name = "ProcessPoolExecutor";
const replacing = lendReplacing();
/** Pools of one process, for tests that break none. */
const alone = { break: lend({ maxWorkers: 1 }), replace: lend({ maxWorkers: 1, onWorkerCrash: "replace" }) };
const KILLED: End = { exitCode: 137, signal: "SIGKILL", says: /while it was running a task/ };

/**
 * One process dies of a task, while another one is busy and more tasks wait. To break fails all of them, each with an
 * error of its own; to replace fails that one task.
 */
async function dieBesideOthers(
  mode: typeof MODES[number],
  doom: (pool: ProcessPoolExecutor) => Future<unknown>,
  end: End,
  { ways = [true, false], ...options }: ProcessPoolExecutorOptions & { ways?: boolean[] } = {},
): Promise<void> {
  const isOwn = mode === "break" || Object.keys(options).length > 0;
  for (const blocking of ways) {
    const pool = isOwn ? new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: mode, ...options }) : replacing();
    using gate = new Gate();
    const beside = pool.submit(passGate<string>, gate.path, "beside");
    await gate.arrived();
    const pid = pool.submit(ownPid).result(BOUND); // the other process is at the gate, so this one is next
    const doomed = doom(pool);
    const behind = Array.from({ length: 5 }, (_, i) => pool.submit(square, i));
    const look = async (future: Future<unknown>, check: (error: unknown) => void) => {
      if (!blocking) await within(future.then(() => {}, () => {}), "a doomed future");
      await bothFail(future, check);
    };
    await look(doomed, (error) => assertDeath(error, end, pid));
    if (mode === "break") {
      const all = [doomed, beside, ...behind];
      for (const future of all) await look(future, (error) => assertDeath(error, end, pid));
      const own = new Set(all.map((future) => future.exception(0)));
      assertEquals(own.size, all.length, "each future has an error of its own");
      const thrown = thrownBy(() => pool.submit(square, 1));
      assertDeath(thrown, end, pid);
      assert(!own.has(thrown), "and so has submit()");
      assertDeath(thrownBy(() => pool.map(square, [1])), end, pid);
    } else {
      for (const [i, future] of behind.entries()) await both(future, (value) => assertEquals(value, i * i));
      assertEquals(beside.state, "RUNNING");
      gate.open();
      await both(beside, (value) => assertEquals(value, "beside"));
      for (let i = 0; i < 3; i++) await both(() => pool.submit(add, i, 1), (value) => assertEquals(value, i + 1));
    }
    if (!isOwn) await keepReplaced();
    else if (blocking) pool.shutdownSync();
    else await within(pool.shutdown(), "shutdown() of what has died");
  }
}

// ---- the task's module --------------------------------------------------------------------------------------------

test(`${name}: a module that throws, rejects or exits at import fails the future, the pool goes on`, async () => {
  for (const onWorkerCrash of MODES) {
    const pool = alone[onWorkerCrash]();
    const pid = pool.submit(ownPid).result(BOUND);
    const at = (file: string) =>
      taskRef<() => number>(import.meta.resolve(`../fixtures/${file}_on_import.ts`), "never");
    await bothFail(() => pool.submit(at("throws")), (error) => {
      assertInstanceOf(error, URIError);
      assertEquals(error.message, "thrown while importing");
    });
    await bothFail(() => pool.submit(at("rejects")), (error) => {
      assertInstanceOf(error, URIError);
      assertEquals(error.message, "rejected while importing");
    });
    await bothFail(() => pool.submit(at("exits_3")), (error) => {
      assertInstanceOf(error, TaskExitError);
      assertEquals(error.exitCode, 3);
    });
    await both(() => pool.submit(ownPid), (value) => assertEquals(value, pid, "in the same process"));
  }
});

test(`${name}: a module that is missing or is no program fails the future with an error that names it`, async () => {
  for (const onWorkerCrash of MODES) {
    const pool = alone[onWorkerCrash]();
    const pid = pool.submit(ownPid).result(BOUND);
    for (const [file, text] of [["missing.ts", undefined], ["syntax_error.ts", "export function never( {"]] as const) {
      const path = `${temporaryPath()}-${file}`;
      if (text !== undefined) Deno.writeTextFileSync(path, text);
      await bothFail(() => pool.submit(taskRef<() => number>(`file://${path}`, "never")), (error) => {
        assertInstanceOf(error, Error);
        assert(!(error instanceof BrokenExecutor), error.message);
        assertStringIncludes(error.message, file);
      });
    }
    await both(() => pool.submit(ownPid), (value) => assertEquals(value, pid, "in the same process"));
  }
});

for (const mode of MODES) {
  test(`${name} {${mode}}: a module that kills its process at import, beside others and before others`, async () => {
    const never = taskRef<() => number>(import.meta.resolve("../fixtures/kills_on_import.ts"), "never");
    await dieBesideOthers(mode, (pool) => pool.submit(never), KILLED, { ways: [isBlocking(0, mode)] });
  });
}

// ---- the task -----------------------------------------------------------------------------------------------------

test(`${name}: what a task throws or rejects with arrives as it was, and its process goes on`, async () => {
  const pool = alone.break();
  const pid = pool.submit(ownPid).result(BOUND);
  for (const task of [throwValue, rejectValue]) {
    for (const value of [undefined, null, 0, -0, NaN, "", false, 0n, "text", 7, [1, { a: 2 }], new Map([[1, 2]])]) {
      await bothFail(() => pool.submit(task, value), (error) => assertSame(error, value));
    }
    await bothFail(() => pool.submit(task, makeError("TypeError")), (error) => assertInstanceOf(error, TypeError));
  }
  await bothFail(() => pool.submit(() => Deno.exit(7)), (error) => {
    assertInstanceOf(error, TaskExitError);
    assertEquals(error.exitCode, 7);
  });
  await both(() => pool.submit(ownPid), (value) => assertEquals(value, pid, "in the same process"));
});

for (const mode of MODES) {
  const tasks: [(signal: Deno.Signal) => unknown, boolean][] = [[killSelf, true], [killSelfLater, false]];
  for (const [task, blocking] of tasks) {
    for (const [signal, exitCode] of [["SIGKILL", 137], ["SIGSEGV", 139], ["SIGTERM", 143]] as const) {
      const what = task === killSelf ? "sends itself" : "awaits and sends itself";
      test(`${name} {${mode}}: a task that ${what} ${signal}, beside others and before others`, async () => {
        const says =
          { SIGKILL: /ran out of memory/, SIGSEGV: /native code/, SIGTERM: /somebody sent the signal/ }[signal];
        await dieBesideOthers(mode, (pool) => pool.submit(task, signal), { exitCode, signal, says }, {
          ways: [blocking],
        });
      });
    }
  }

  test(`${name} {${mode}}: a task that ends its process with exit code 5 or 0 past Deno.exit()`, async () => {
    for (const [i, exitCode] of [5, 0].entries()) {
      const end = { exitCode, signal: null, says: /Deno\.exit\(\)/ };
      await dieBesideOthers(mode, (pool) => pool.submit(endAbruptly, exitCode), end, { ways: [isBlocking(i, mode)] });
    }
  }, { linuxOnly: true });

  test(`${name} {${mode}}: a task that fills its heap fails with a message that says so, and what to do`, async () => {
    const options = { env: { DENO_V8_FLAGS: "--max-old-space-size=24" }, ways: [isBlocking(0, mode)] };
    const end = { exitCode: /^1\d\d$/, signal: "SIGTRAP", says: /out of memory.*--max-old-space-size/s };
    await dieBesideOthers(mode, (pool) => pool.submit(exhaustHeap), end, options);
  }, { linuxOnly: true });

  test(`${name} {${mode}}: killWorkers() ends an endless loop, terminateWorkers() an endless await`, async () => {
    const rows = [
      ["SIGKILL", 137, spinForever],
      ["SIGKILL", 137, awaitForever],
      ["SIGTERM", 143, awaitForever],
    ] as const;
    for (const [i, [signal, exitCode, task]] of rows.entries()) {
      const calls = signal === "SIGKILL" ? "killWorkers" : "terminateWorkers";
      for (const blocking of [isBlocking(i, mode)]) {
        const workers = i === 0 ? 2 : 1;
        const pool = new ProcessPoolExecutor({ maxWorkers: workers, onWorkerCrash: mode });
        using gate = new Gate();
        const running = Array.from({ length: workers }, () => pool.submit<[string], unknown>(task, gate.path));
        await gate.arrived(workers);
        const queued = [1, 2, 3].map((n) => pool.submit(square, n));
        pool[calls]();
        assertEquals(queued.map((future) => future.cancelled()), [true, true, true]);
        pool[calls]();
        if (blocking) pool.shutdownSync();
        else await within(pool.shutdown());
        for (const future of running) {
          await bothFail(future, (error) => assertDeath(error, { exitCode, signal, says: RegExp(`${calls}\\(\\)`) }));
        }
        const errors = running.map((future) => future.exception(0) as BrokenProcessPool);
        const pids = new Set(errors.map(({ pid }) => pid));
        assertEquals([new Set(errors).size, pids.size], [workers, workers], "an error and a process of its own");
        assertEquals(thrownBy(() => pool.submit(square, 1)).name, "ShutdownError");
      }
    }
  });

  test(`${name} {${mode}}: an item of map() that kills its process, in chunks or not`, async () => {
    for (const [i, chunksize] of [1, 4].entries()) {
      for (const blocking of [isBlocking(i, mode)]) {
        await using own = mode === "break" ? new ProcessPoolExecutor(1) : undefined;
        const pool = own ?? alone.replace();
        const items = Array.from({ length: 12 }, (_, i) => i);
        const results = pool.map(killSelfAt, items, items.map(() => 6), { chunksize });
        const seen: number[] = [];
        let failure: unknown;
        try {
          if (blocking) { for (const value of results) seen.push(value); }
          else for await (const value of results) seen.push(value);
        } catch (error) {
          failure = error;
        }
        assertDeath(failure, KILLED);
        assertEquals(seen, items.slice(0, chunksize === 1 ? 6 : 4).map((n) => n * n));
        if (mode === "replace") await both(() => pool.submit(square, 3), (value) => assertEquals(value, 9));
        else assertDeath(thrownBy(() => pool.submit(square, 3)), KILLED);
      }
    }
    if (mode === "replace") await keepReplaced();
  });
}

test(`${name} {replace}: 11 of 100 tasks kill their process, and each other one has its own result`, async () => {
  const pool = replacing();
  const futures = Array.from({ length: 100 }, (_, i): Future<unknown> => {
    return i % 9 === 4 ? pool.submit(killSelf, "SIGKILL") : pool.submit(echo<number>, i);
  });
  const outcomes = await within(Promise.allSettled(futures), "100 tasks", 20_000);
  const pids = new Set<number>();
  for (const [i, outcome] of outcomes.entries()) {
    if (i % 9 !== 4) assertEquals(outcome, { status: "fulfilled", value: i });
    else {
      const { reason } = outcome as PromiseRejectedResult;
      assertDeath(reason, KILLED);
      pids.add(reason.pid);
    }
  }
  assertEquals(pids.size, 11, "each death was another process's");
  await keepReplaced();
});

// ---- idle processes ------------------------------------------------------------------------------------------------

test(`${name} {break}: an idle process that is killed from outside breaks the pool at once`, async () => {
  for (const blocking of [true, false]) {
    using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
    using gate = new Gate();
    const beside = pool.submit(passGate, gate.path);
    await gate.arrived();
    const pid = pool.submit(ownPid).result(BOUND);
    Deno.kill(pid, "SIGKILL");
    const end = { exitCode: 137, signal: "SIGKILL", says: /while it was idle/ };
    if (blocking) assertDeath(thrownBy(() => beside.result(5_000)), end, pid);
    else assertDeath(await within(beside.then(() => {}, (error) => error), "the future beside it", 5_000), end, pid);
    await bothFail(beside, (error) => assertDeath(error, end, pid));
    assertDeath(thrownBy(() => pool.submit(square, 1)), end, pid);
  }
});

test(
  `${name} {break}: when a process dies the others end at once, though the program computes and does not look`,
  () => {
    using pool = new ProcessPoolExecutor(2);
    using gate = new Gate();
    pool.submit(spinForever, gate.path);
    pool.submit(killAtGate, gate.path);
    gate.arrivedSync(2);
    gate.open();
    untilSync(() => childProcesses()!.length === 0, "the end of both");
  },
  { linuxOnly: true },
);

test(`${name} {break}: submit() throws soon after the only process, idle, was killed from outside`, async () => {
  using pool = new ProcessPoolExecutor(1);
  const pid = pool.submit(ownPid).result(BOUND);
  Deno.kill(pid, "SIGTERM");
  let thrown: unknown;
  await until(
    () => {
      try {
        pool.submit(square, 1);
      } catch (error) {
        thrown = error;
      }
      return thrown !== undefined;
    },
    "submit() throws",
    5_000,
  );
  assertDeath(thrown, { exitCode: 143, signal: "SIGTERM" }, pid);
});

test(`${name} {replace}: an idle process that is killed from outside is replaced, and nothing fails`, async () => {
  const pool = replacing();
  using gate = new Gate();
  const beside = pool.submit(passGate<string>, gate.path, "beside");
  await gate.arrived();
  for (let i = 0; i < 4; i++) {
    const pid = pool.submit(ownPid).result(BOUND);
    Deno.kill(pid, "SIGKILL");
    // At once, when the pool may not know of it yet and give it the task; or later.
    if (i % 2 === 1) await until(() => !exists(pid), `${pid} is gone`);
    await both(() => pool.submit(ownPid), (next) => assert(next !== pid));
  }
  gate.open();
  await both(beside, (value) => assertEquals(value, "beside"));
  await keepReplaced();
});

function exists(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}

/**
 * In place of a process: one that passes all on to a real one but the pool's question whether its input has arrived,
 * and dies when the task has answered. Another program keeps the output open, so its end does not come.
 */
const UNABLE_TO_SAY = `
  const [folder, deno, ...args] = Deno.args;
  const [stdout, stderr] = ["inherit", "inherit"];
  const child = new Deno.Command(deno, { args, stdin: "piped", stdout, stderr }).spawn();
  const keeper = new Deno.Command("sleep", { args: ["60"], stdin: "null", stdout, stderr: "null" }).spawn();
  Deno.writeTextFileSync(folder + "/keeper", String(keeper.pid));
  const exists = (name) => Array.from(Deno.readDirSync(folder), ({ name }) => name).includes(name);
  const input = child.stdin.getWriter();
  for await (const bytes of Deno.stdin.readable) {
    const isQuestion = new TextDecoder().decode(bytes).startsWith('\\x1e["probe",');
    if (!isQuestion || !exists("begun")) await input.write(bytes);
    else {
      Deno.writeTextFileSync(folder + "/asked", "");
      while (!exists("answered")) await new Promise((resolve) => setTimeout(resolve, 1));
      Deno.exit(5);
    }
  }`;

test(
  `${name}: what a process answered counts though it dies before it has said whether its input has arrived`,
  async () => {
    const folder = denoThrough(UNABLE_TO_SAY);
    try {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno: `${folder}/deno` });
      const future = pool.submit((folder: string) => {
        Deno.writeTextFileSync(`${folder}/begun`, "");
        const names = () => Array.from(Deno.readDirSync(folder), ({ name }) => name);
        while (!names().includes("asked")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        // When the answer has been written.
        setTimeout(() => Deno.writeTextFileSync(`${folder}/answered`, ""), 0);
        return "an answer";
      }, folder);
      assertEquals(await within(future), "an answer");
    } finally {
      Deno.kill(Number(Deno.readTextFileSync(`${folder}/keeper`)), "SIGKILL");
    }
  },
  { linuxOnly: true },
);

test("BrokenProcessPool names the task that the process was running, also where other tasks fail for it", async () => {
  for (const onWorkerCrash of ["break", "replace"] as const) {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
    const killer = pool.with({ name: "killer" }).submit(killSelf, "SIGKILL");
    const other = pool.with({ name: "innocent" }).submit(square, 3);
    const error = await rejectionOf(killer);
    assertInstanceOf(error, BrokenProcessPool);
    assertMatch(error.message, /^Process \d+ was killed by signal SIGKILL while it was running task killer\. /);
    if (onWorkerCrash === "replace") assertEquals(await within(other), 9);
    else {
      assertMatch((await rejectionOf(other)).message, /while it was running task killer\. /);
      assertMatch(thrownBy(() => pool.submit(square, 3)).message, /while it was running task killer\. /);
    }
    await within(pool.shutdown());
  }
});
