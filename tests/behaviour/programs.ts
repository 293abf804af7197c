/** What only a program of its own shows: how it ends, the main module, memory, threads, CPU time. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bestOf, Ledger, outputOf, runProgram, test } from "../_helpers.ts";
import type { Kind } from "./kind.ts";

const GC = { flags: ["-A", "--v8-flags=--expose-gc"] };

/** How a program ends that never shuts down. */
export function programEndBehaviour({ name, module, isRemote: isLocked }: Kind): void {
  for (
    const [way, what, tasks] of [
      ["unread", "that reads no result", 20],
      ["blocked", "that blocks for its results", 20],
      ["awaited", "that awaits its results at top level", 20],
      ["map", "that leaves a map unread", 20],
      ["wait-false", "that ends with shutdown({ wait: false })", 20],
      ["later", "that submits from a timer", 20],
      ["idle", "that does something else at its end", 20],
      ["asynchronous", "whose last task is asynchronous", 20],
      ["leftovers", "whose tasks left timers and servers behind", 20],
      ["unused", "that submits nothing", 0],
      ["refused", "that submits only what cannot be sent", 0],
    ] as const
  ) {
    test(`${name}: a program ${what} and never shuts down runs all and ends by itself in 250 ms`, async () => {
      await bestOf(5, async () => {
        const ledger = new Ledger();
        const { code, stderr, at } = await runProgram("no_shutdown.ts", [module, way, ledger.path], {
          bound: 8_000,
          isLocked,
        });
        assertEquals([code, stderr], [0, ""]);
        const times = ledger.lines().map(Number);
        assertEquals(times.length, tasks + 1, "each task ran, and the program came to its end");
        const late = at - Math.max(...times);
        assert(late <= 250, `the program ended ${late} ms after its last result`);
      });
    });
  }

  test(`${name}: a program that throws ends with its error, one that calls Deno.exit() ends at once`, async () => {
    const ledger = new Ledger();
    const thrown = await runProgram("no_shutdown.ts", [module, "throws", ledger.path], { isLocked });
    assertEquals(thrown.code, 1);
    assertStringIncludes(thrown.stderr, "thrown by the program");
    const start = Date.now();
    const exited = await runProgram("no_shutdown.ts", [module, "exits", ledger.path], { isLocked });
    assertEquals(exited.code, 7);
    assert(exited.at - start < 5_000, "it waited for tasks");
  });
}

export function programBehaviour(kind: Kind): void {
  const { name, module, rounds } = kind;
  programEndBehaviour(kind);

  test(`${name}: failed futures that nobody looks at leave the program's end and its stderr alone`, async () => {
    const { code, stdout, stderr } = await runProgram("ignored_failure.ts", [module]);
    assertEquals([code, stdout, stderr], [0, "end\n", ""]);
  });

  test(`${name}: tasks that exit, close, throw late or set an exit code leave the program's alone`, async () => {
    const { code, stdout, stderr } = await runProgram("exits.ts", [module]);
    assertEquals(code, 0, stderr); // that something was thrown too late may be told there
    assertEquals(JSON.parse(stdout), {
      names: ["TaskExitError", "TaskExitError", "EvalError", "EvalError"],
      codes: [3, 0],
      after: 25,
    });
  });

  test(`${name}: functions of the main module run by reference, where import.meta.main is false`, async () => {
    assertEquals(await outputOf("main_module.ts", [module]), {
      exported: 42,
      arrow: 43,
      viaAnotherModule: 44,
      main: [true, false],
      state: [1, 2],
      notExported: 45,
      closure: true,
      imported: 46,
    });
  });

  for (const way of ["submit", "source", "map", "created"]) {
    test(`${name}: a main module without a guard gets a clear error, never a fork bomb (${way})`, async () => {
      const { code, stdout, stderr } = await runProgram("unguarded.ts", [module, way], { bound: 15_000 });
      const output = `exit code ${code}, stdout: ${stdout}, stderr: ${stderr}`;
      assertStringIncludes(stdout + stderr, "import.meta.main", output);
      assert((stdout.match(/imported/g)?.length ?? 0) <= 3, `the module was imported again and again: ${output}`);
    });
  }

  test(`${name}: a main module that is not guarded but starts no pool is no fault`, async () => {
    assertEquals(await outputOf("unguarded_harmless.ts", [module]), { result: 42 });
  });

  test(`${name}: the first statement of a program may block`, async () => {
    assertEquals(await outputOf("blocked_start.ts", [module]), { first: 3, second: 4, third: [1, 4, 9] });
  });

  test(`${name}: a task whose module is loaded may use a pool of its own`, async () => {
    assertEquals(await outputOf("nested.ts", [module]), { nested: [1, 4, 9] });
  });

  test(`${name}: an idle pool uses no CPU`, async () => {
    await bestOf(3, async () => {
      const { idle, afterBlocking } = await outputOf("idle.ts", [module]);
      assert(idle <= 1.5, `an idle pool used ${idle} % of a CPU`);
      assert(afterBlocking <= 1.5, `a pool that was used blocking used ${afterBlocking} % of a CPU`);
    });
  }, { linuxOnly: true });

  for (const when of ["before", "after"]) {
    test(`${name}: a program that stops its clock ${when} it submits a task waits for tasks in each way`, async () => {
      assertEquals(await outputOf("clock_stopped.ts", [module, when]), {
        awaited: 9,
        mapped: 3_000,
        read: 3_000,
        notDone: 1,
        late: "TimeoutError",
        workers: 0,
      });
    });
  }

  test(`${name}: an idle pool uses no CPU, also when tasks have stopped the clocks of its workers`, async () => {
    await bestOf(3, async () => {
      const { idle, afterBlocking } = await outputOf("idle.ts", [module, "stopped"]);
      assert(idle <= 1.5, `an idle pool used ${idle} % of a CPU`);
      assert(afterBlocking <= 1.5, `a pool that was used blocking used ${afterBlocking} % of a CPU`);
    });
  }, { linuxOnly: true });

  test(`${name}: a thread that blocks on a long task uses next to no CPU`, async () => {
    await bestOf(3, async () => {
      const { blocked, awaited } = await outputOf("idle.ts", [module, "waiting"]);
      assert(blocked <= 10, `result() used ${blocked} % of a CPU`);
      assert(awaited <= 10, `await used ${awaited} % of a CPU`);
    });
  }, { linuxOnly: true });

  test(`${name}: ${rounds} pools made, used and shut down leave memory and threads as they were`, async () => {
    const { threads, growth, bytes } = await outputOf("rounds.ts", [module, String(rounds)], { ...GC, bound: 100_000 });
    assert(threads[1] <= threads[0], `${threads[0]} threads became ${threads[1]}`);
    // The shared memory of one pool takes more than half a MiB.
    assert(bytes <= rounds * 12_582, `the heap and buffers grew by ${bytes} bytes`);
    assert(growth <= 80, `the process grew by ${growth} MiB`);
  }, { linuxOnly: true, bound: 110_000 });

  test(`${name}: one pool's memory is level over 26,000 tasks`, async () => {
    // What V8 compiles late, on a busy machine, counts once; what a pool keeps, in each program.
    await bestOf(3, async () => {
      const { bytes, resident } = await outputOf("tasks_memory.ts", [module], { ...GC, bound: 60_000 });
      // Half of it when nothing is kept, and more when memory for arguments is.
      assert(bytes <= 300_000, `the heap and buffers grew by ${bytes} bytes`);
      assert(resident <= 130, `the process grew by ${resident} MiB`);
    });
  }, { linuxOnly: true, bound: 190_000 });

  test(`${name} keeps no reference to arguments, results and futures of tasks that are done`, async () => {
    assertEquals(await outputOf("references.ts", [module], GC), {
      future: true,
      argument: true,
      result: true,
      cancelled: true,
      mapped: true,
      pool: true,
      dropped: [[1, 2, 3, 4, 5, 6], [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]],
    });
  });
}
