/** {@linkcode ProcessPoolExecutor}: a task that waits for a process that starts, while another one is idle. */
import { assert, assertEquals } from "@std/assert";
import { type Future, ProcessPoolExecutor } from "@concurrent/futures";
import { bestOf, childProcesses, Gate, sleep, test, until, within } from "../_helpers.ts";
import { isAlive, workersOf } from "../_start.ts";
import { pid, pidAtGate } from "../fixtures/process_tasks.ts";

/** Whether a child of this program runs Deno: before, who starts it waits for that. */
function isDeno(pid: string): boolean {
  return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("child/main.ts");
}

/** Has a task wait for a process that is stopped while it starts, beside an idle one that has run its first task. */
async function besideOneThatStarts(
  look: (idle: number, starting: number, task: Future<number>, since: number) => Promise<void>,
  pauseMs = 0,
): Promise<void> {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: "replace" });
  using gate = new Gate();
  const held = pool.submit(pidAtGate, gate.path);
  await gate.arrived();
  await sleep(pauseMs);
  const before = childProcesses()!;
  const since = performance.now();
  const task = pool.submit(pid);
  let starting: string | undefined;
  await until(() => {
    starting = childProcesses()!.find((pid) => !before.includes(pid) && isDeno(pid));
    return starting !== undefined;
  }, "another process");
  Deno.kill(Number(starting), "SIGSTOP");
  try {
    gate.open();
    const idle = await within(held);
    assert(!task.running() && !task.done(), "it has started before it was stopped");
    await look(idle, Number(starting), task, since);
  } finally {
    if (isAlive(Number(starting))) Deno.kill(Number(starting), "SIGCONT");
  }
}

test("ProcessPoolExecutor: a task waits for a process that starts, and none starts a thread meanwhile", async () => {
  await bestOf(5, () =>
    besideOneThatStarts(async (idle, starting, task) => {
      // Longer than it takes to start a thread.
      await sleep(150);
      assertEquals(workersOf(idle), 0);
      Deno.kill(starting, "SIGCONT");
      assertEquals([await within(task), workersOf(idle)], [starting, 0]);
    }));
}, { linuxOnly: true });

test("ProcessPoolExecutor: a task does not wait for ever for a process that starts", async () => {
  await bestOf(5, () =>
    besideOneThatStarts(async (idle, _, task) => {
      assertEquals([await within(task), workersOf(idle)], [idle, 1]);
    }));
}, { linuxOnly: true });

test("ProcessPoolExecutor: a task does not wait for a process that starts and dies", async () => {
  await bestOf(5, () =>
    besideOneThatStarts(async (idle, starting, task, since) => {
      Deno.kill(starting, "SIGKILL");
      assertEquals(await within(task), idle);
      // Not only when the time is over for which it would wait.
      assert(performance.now() - since < 1_000, `${performance.now() - since} ms`);
      // The broker looks again a second after the first process was started, too.
    }, 1_000));
}, { linuxOnly: true });
