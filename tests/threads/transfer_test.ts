/**
 * What moves between threads with `transfer()`, where something else goes wrong: only its own future fails, and
 * nothing moves in vain.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { SerializationError, TaskNotFoundError, ThreadPoolExecutor, transfer } from "@concurrent/futures";
import { describeSources } from "../../futures/wakeup.ts";
import { bothFail, BOUND, Gate, test, thrownBy, within } from "../_helpers.ts";
import { add, echo, lengthOf, passGate, square } from "../fixtures/tasks.ts";
import { hasLeft, lendImmovable, lendUnless, makePortFor } from "../fixtures/thread_tasks.ts";

/** Reads what waits on a port, and closes it. */
async function messageOf(port: MessagePort): Promise<unknown> {
  const message = await within(new Promise((resolve) => port.onmessage = ({ data }) => resolve(data)), "a message");
  port.close();
  return message;
}

function immovable(pages: number): ArrayBuffer {
  return new WebAssembly.Memory({ initial: pages }).buffer as ArrayBuffer;
}

for (const chunksize of [1, 2, 4, undefined]) {
  test(`ThreadPoolExecutor.map() moves results that were ready before an item failed, chunks of ${chunksize}`, () => {
    using pool = new ThreadPoolExecutor(1);
    for (const what of ["fails", "refused"] as const) {
      // The library chooses chunks of several items only where there are many.
      const [count, bad] = chunksize === undefined ? [400, 200] : [4, 3];
      const results = pool.map(lendUnless, Array(count).keys(), Array(count).fill({ [what]: bad }), { chunksize });
      for (let n = 0; n < bad; n++) {
        const { bytes } = results.next().value as { bytes: Uint8Array };
        assertEquals([bytes.length, bytes[0]], [8 + n, n % 256]);
      }
      const error = thrownBy(() => results.next());
      assertInstanceOf(error, what === "fails" ? EvalError : SerializationError);
      if (what === "refused") assertEquals((error as SerializationError).path, "result.bad");
      assertEquals(pool.submit(square, 3).result(BOUND), 9, "the pool is usable");
    }
  });

  test(`ThreadPoolExecutor.map() moves ports as results, chunks of ${chunksize}`, async () => {
    using pool = new ThreadPoolExecutor(1);
    const count = chunksize === undefined ? 100 : 5;
    let n = 0;
    for (const port of pool.map(makePortFor, Array(count).keys(), { chunksize })) {
      assertEquals(await messageOf(port), n++);
    }
    assertEquals(n, count);
  });
}

test("transfer() of memory that cannot move fails its future alone, as an argument of any size", async () => {
  using pool = new ThreadPoolExecutor(2);
  for (const pages of [0, 1, 4]) {
    const buffer = immovable(pages);
    const beside = new ArrayBuffer(100);
    const values: [unknown, Transferable[]][] = [
      [buffer, [buffer]],
      [new Uint8Array(buffer), [buffer]],
      [{ buffer }, [buffer]],
      [{ beside, buffer }, [beside, buffer]],
    ];
    for (const [value, list] of values) {
      for (let i = 0; i < 3; i++) {
        await bothFail(() => pool.submit(echo<unknown>, transfer(value, list)), (error) => {
          assertInstanceOf(error, SerializationError);
          assertStringIncludes(error.message, "Cannot send args");
        });
      }
    }
    assertEquals(beside.byteLength, 100, "what could have moved stays with what could not");
    assertEquals(pool.submit(square, 3).result(BOUND), 9);
  }
  // Each worker still takes tasks.
  assertEquals([...pool.map(square, [1, 2, 3, 4], { chunksize: 1 })], [1, 4, 9, 16]);
});

test("transfer() of memory that cannot move fails its future also where the task has to wait", async () => {
  using pool = new ThreadPoolExecutor(1);
  using gate = new Gate();
  const held = pool.submit(passGate<number>, gate.path, 1);
  await gate.arrived();
  // So many that the queue is full.
  const before = Array.from({ length: 300 }, () => pool.submit(lengthOf, "x".repeat(5_000)));
  const buffer = immovable(1);
  const future = pool.submit(echo<unknown>, transfer(buffer, [buffer]));
  const after = pool.submit(add, 1, 2);
  await bothFail(future, (error) => assertInstanceOf(error, SerializationError));
  gate.open();
  assertEquals([held.result(BOUND), after.result(BOUND), before.at(-1)!.result(BOUND)], [1, 3, 5_000]);
});

test("transfer() of memory that cannot move fails its future as a result, and the pool stays usable", async () => {
  using pool = new ThreadPoolExecutor(1);
  for (const pages of [0, 1, 4]) {
    for (const how of ["lone", "inside", "beside"] as const) {
      await bothFail(() => pool.submit(lendImmovable, how, pages), (error) => {
        assertInstanceOf(error, SerializationError, `${how}: ${Deno.inspect(error)}`);
        assertStringIncludes(error.message, "Cannot send result");
      });
      assertEquals(pool.submit(square, 3).result(BOUND), 9, how);
    }
    assertEquals(pool.submit(hasLeft).result(BOUND), false, "what could have moved stays with what could not");
  }
  for (const chunksize of [1, 3]) {
    const results = pool.map(lendImmovable, ["lone", "lone", "lone"] as const, [1, 1, 1], { chunksize });
    assertInstanceOf(thrownBy(() => results.next()), SerializationError);
  }
  assertEquals(pool.submit(square, 4).result(BOUND), 16);
  // Each is counted as finished once.
  for (const state of describeSources()) assertMatch(state, /collected=(\d+) .* finished=\1 /s);
});

test("submit() looks at the function first: where that cannot be sent, nothing moves", async () => {
  using pool = new ThreadPoolExecutor(1);
  const bytes = new Uint8Array(100);
  const { port1, port2 } = new MessageChannel();
  for (
    const future of [
      pool.submit(Math.max as (...args: unknown[]) => unknown, transfer(bytes, [bytes.buffer])),
      pool.submit(Math.max as (...args: unknown[]) => unknown, { x: transfer(bytes, [bytes.buffer]) }),
      pool.submit(Math.max as (...args: unknown[]) => unknown, transfer({ port2 }, [port2])),
    ]
  ) await bothFail(future, (error) => assertInstanceOf(error, TaskNotFoundError));
  assertEquals(bytes.length, 100);
  port1.postMessage("still here");
  assertEquals(await messageOf(port2), "still here");
  port1.close();
});

test("new ThreadPoolExecutor() copies a buffer among initargs for each thread, and refuses a port", async () => {
  const { port1, port2 } = new MessageChannel();
  for (const list of [[port2], [new ArrayBuffer(8), port2]]) {
    const initargs = [1, transfer({ list }, list)];
    const error = assertThrows(() => new ThreadPoolExecutor({ initializer: echo, initargs }), SerializationError);
    assertEquals(error.path, "initargs[1]");
    assertStringIncludes(error.message, "Cannot send initargs[1] to several workers");
  }
  port1.postMessage("still here");
  assertEquals(await messageOf(port2), "still here");
  port1.close();

  const [lone, inside] = [new Uint8Array(100).fill(5), new Uint8Array(100).fill(6)];
  const initargs = [transfer(lone, [lone.buffer]), { inside: transfer(inside, [inside.buffer]) }];
  for (const args of [initargs.slice(0, 1), initargs]) {
    if (args.length === 2) args[0] = 0 as never;
    await using pool = new ThreadPoolExecutor({ maxWorkers: 2, initializer: keepBytes, initargs: args });
    assert(args.length === 2 ? inside.buffer.detached : lone.buffer.detached, "it is gone at the call");
    const gate = new Int32Array(new SharedArrayBuffer(8));
    const both = [0, 1].map(() => pool.submit(keptBytes, gate));
    for (const future of both) assertEquals(await within(future), [100, args.length === 2 ? 6 : 5]);
  }
});

let kept: Uint8Array;
export function keepBytes(first: unknown, second?: { inside: Uint8Array }): void {
  kept = second === undefined ? first as Uint8Array : second.inside;
}

/** Waits until two threads are here, so that each of them tells. */
export function keptBytes(gate: Int32Array): number[] {
  if (Atomics.add(gate, 0, 1) === 1) Atomics.notify(gate, 0);
  else Atomics.wait(gate, 0, 1, 10_000);
  return [kept.length, kept[99]];
}
