/** `idleTimeout`: workers that have nothing to do end, and others take their places. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { bestOf, Gate, runProgram, sleep, test, until, within } from "../_helpers.ts";
import { callsSoFar, countCalls, echoLater, passGate, square, whoAmI } from "../fixtures/tasks.ts";
import type { Kind } from "./kind.ts";
import { range } from "./map.ts";

export function idleBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name} refuses an idleTimeout that is no number above 0, and names it`, () => {
    for (const value of [0, -1, NaN, -Infinity]) {
      assertThrows(() => make({ idleTimeout: value }), RangeError, "idleTimeout");
      assertThrows(() => make({ idleTimeout: value }), RangeError, String(value));
    }
    for (const value of ["3", null, {}, [], true, 1n]) {
      assertThrows(() => make({ idleTimeout: value as number }), TypeError, "idleTimeout");
    }
  });

  test(`${name}: idle workers end after idleTimeout, down to none, and a new task starts them again`, async () => {
    const pool = make({ maxWorkers: 2, idleTimeout: 60, initializer: countCalls });
    for (let round = 0; round < 2; round++) {
      using gate = new Gate();
      const held = range(2).map((n) => pool.submit(passGate<number>, gate.path, n));
      await gate.arrived(2);
      assertEquals(pool.stats().workers, 2);
      // No worker ends while it runs a task, however long.
      await sleep(150);
      assertEquals(pool.stats().workers, 2);
      gate.open();
      assertEquals(await within(Promise.all(held)), [0, 1]);
      await until(() => pool.stats().workers === 0, "no worker is left", 5_000);
      const { idle, running, queued, restarts } = pool.stats();
      assertEquals({ idle, running, queued, restarts }, { idle: 0, running: 0, queued: 0, restarts: 0 });
    }
    // Each new worker has called the initializer, once.
    assertEquals(await within(pool.submit(callsSoFar)), 1);
    assertEquals([...pool.map(square, range(100))], range(100).map(square));
    await until(() => pool.stats().workers === 0, "no worker is left", 5_000);
    await within(pool.shutdown());
  });

  test(`${name}: a worker that has something to do now and then stays, and only the others end`, async () => {
    // On a busy machine the pauses may become too long.
    await bestOf(5, async () => {
      await using pool = make({ maxWorkers: 3, idleTimeout: 300 });
      await within(Promise.all(range(3).map((n) => pool.submit(echoLater, n, 50))));
      const before = pool.stats().workers;
      assert(before >= 2, `${before} workers`);
      for (let i = 0; i < 40 && pool.stats().workers > 1; i++) {
        await within(pool.submit(square, i));
        await sleep(20);
      }
      assertEquals(pool.stats().workers, 1);
      const names = new Set<string>();
      for (let i = 0; i < 30; i++) {
        names.add(await within(pool.submit(whoAmI)));
        await sleep(20);
      }
      assertEquals(names.size, 1, "it is still the same");
    });
  });

  test(`${name}: workers end one after the other that became idle one after the other`, async () => {
    const pool = make({ maxWorkers: 2, idleTimeout: 200 });
    const gates = [new Gate(), new Gate()];
    const held = gates.map((gate) => pool.submit(passGate, gate.path));
    for (const gate of gates) await gate.arrived();
    for (const gate of gates) {
      gate.open();
      await sleep(100);
    }
    await within(Promise.all(held));
    await until(() => pool.stats().workers < 2, "the first one has ended", 5_000);
    await until(() => pool.stats().workers === 0, "the other one has ended", 5_000);
    await within(pool.shutdown());
  });

  test(`${name}: tasks that come as workers end are neither lost nor held up`, async () => {
    const pool = make({ maxWorkers: 2, idleTimeout: 5 });
    for (let i = 0; i < 24; i++) {
      // Around the moment at which they end.
      await sleep(4 + (i % 8) / 2);
      assertEquals(await within(pool.submit(square, i), `task ${i}`, 5_000), i * i);
    }
    for (let i = 0; i < 10; i++) {
      await sleep(4 + (i % 5) / 2);
      // This thread blocks, and ends none meanwhile.
      assertEquals(pool.submit(square, i).result(5_000), i * i);
    }
    await within(pool.shutdown());
  });

  test(`${name}: an idleTimeout beyond any timer ends nobody`, async () => {
    const pool = make({ maxWorkers: 1, idleTimeout: 1e15 });
    assertEquals(await within(pool.submit(square, 3)), 9);
    await sleep(30);
    assertEquals(pool.stats().workers, 1);
    await within(pool.shutdown());
  });

  test(`${name}: a program whose pool has ended its workers, or is about to, ends by itself`, async () => {
    for (const [idleTimeout, left] of [["50", "0"], ["1000000000", "1"]]) {
      const { code, stdout, stderr } = await runProgram("idle_timeout.ts", [kind.module, idleTimeout, left]);
      assertEquals([code, stdout, stderr], [0, "36 49\n", ""]);
    }
  });
}
