/** Any order of calls settles each future once. */
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
import { BOUND, Ledger, sleep, test, until, within } from "../_helpers.ts";
import { holds, withPool } from "./_kit.ts";

type Task = "value" | "later" | "fails" | "exits" | "refused" | "crashes";

type Call = ["submit", Task] | ["cancel" | "result" | "await" | "look", number] | [
  "turn" | "shutdown" | "cancelAll" | "kill",
];

/** A task that says that it runs, and ends in some way. Workers get it as source text. */
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
  /** What callbacks and listeners have seen, each once. */
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
  await holds(25, callsWith(TASKS, ["shutdown", "cancelAll"]), async (calls) => {
    await withPool(new ThreadPoolExecutor(2), (pool) => play(pool, calls, "none"));
  });
}, { bound: 60_000 });

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(`ProcessPoolExecutor: any order of calls and crashes settles each future once (${onWorkerCrash})`, async () => {
    await holds(6, callsWith([...TASKS, "crashes"], ["shutdown", "cancelAll", "kill"]), async (calls) => {
      const pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
      await withPool(pool, (pool) => play(pool, calls, onWorkerCrash));
    });
  }, { bound: 60_000 });
}
