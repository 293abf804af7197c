/**
 * What only {@linkcode ThreadPoolExecutor} has: names, shared memory, transfers, one thread per worker.
 *
 * Over 400 lines: a list of what holds for threads alone.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  asCompleted,
  BrokenExecutor,
  BrokenThreadPool,
  Executor,
  ProcessPoolExecutor,
  SerializationError,
  ThreadPoolExecutor,
  transfer,
  wait,
  waitSync,
} from "@concurrent/futures";
import {
  bestOf,
  both,
  bothFail,
  BOUND,
  Gate,
  Ledger,
  liveWorkers,
  outputOf,
  startedWorkers,
  temporaryPath,
  test,
  until,
  untilSync,
  within,
  workerThreads,
} from "../_helpers.ts";
import { assertSame } from "../_same.ts";
import { assertResponsive } from "../behaviour/load.ts";
import { add, echo, lengthOf, list, makeRows, passGate, record, sample, square } from "../fixtures/tasks.ts";
import {
  addToShared,
  addToView,
  answerOn,
  awaitWord,
  failToTransfer,
  fillAndTransfer,
  hasLeft,
  inspectWithoutPorts,
  keepShared,
  lend,
  lendLater,
  makePort,
  makeShared,
  meddle,
  passOn,
  replaceBuiltIns,
  threadName,
} from "../fixtures/thread_tasks.ts";

/** Two shared words: tasks wait on the first and count themselves in the second. */
function gateWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

function openWords(words: Int32Array): void {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
}

// ---- the constructor ----------------------------------------------------------------------------------------------

test("new ThreadPoolExecutor() takes a number, options or nothing", async () => {
  for (
    const make of [
      () => new ThreadPoolExecutor(),
      () => new ThreadPoolExecutor(2),
      () => new ThreadPoolExecutor({}),
      () => new ThreadPoolExecutor({ maxWorkers: 2 }),
      () => new ThreadPoolExecutor(undefined),
      () => new ThreadPoolExecutor({ maxWorkers: undefined, threadNamePrefix: undefined, initializer: undefined }),
    ]
  ) {
    using pool = make();
    assertInstanceOf(pool, Executor);
    await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
  }
});

test("new ThreadPoolExecutor() refuses a number of workers that is no integer of at least 1", () => {
  const Loose = ThreadPoolExecutor as unknown as new (value: unknown) => unknown;
  for (const wrong of [0, -1, 1.5, NaN, Infinity, -Infinity]) {
    assertThrows(() => new Loose(wrong), RangeError, undefined, String(wrong));
    assertThrows(() => new Loose({ maxWorkers: wrong }), RangeError, undefined, String(wrong));
  }
  for (const wrong of ["3", "", true, 2n, Symbol("x")]) {
    assertThrows(() => new Loose(wrong), TypeError, undefined, Deno.inspect(wrong));
    assertThrows(() => new Loose({ maxWorkers: wrong }), TypeError, undefined, Deno.inspect(wrong));
  }
  for (const wrong of [null, [], [4], () => {}]) {
    assertThrows(() => new Loose(wrong), TypeError, undefined, Deno.inspect(wrong));
    assertThrows(() => new Loose({ maxWorkers: wrong }), TypeError, undefined, Deno.inspect(wrong));
  }
});

test("new ThreadPoolExecutor() refuses a threadNamePrefix that is no text", () => {
  const Loose = ThreadPoolExecutor as unknown as new (value: unknown) => unknown;
  assertThrows(() => new Loose({ threadNamePrefix: 5 }), TypeError, "The option threadNamePrefix must be a string: 5");
});

test("ThreadPoolExecutor starts a worker by a submit while none is idle, and no more than maxWorkers", async () => {
  const before = startedWorkers();
  const words = gateWords();
  using pool = new ThreadPoolExecutor(4);
  try {
    assertEquals(startedWorkers() - before, 0, "the constructor starts nothing");
    for (let i = 0; i < 3; i++) {
      assertEquals(await within(pool.submit(square, i)), i * i);
      assertEquals(pool.submit(square, i).result(BOUND), i * i);
    }
    assertEquals(startedWorkers() - before, 1, "one after the other, one is used again");
    const gated = Array.from({ length: 60 }, () => pool.submit(awaitWord, words));
    await until(() => Atomics.load(words, 1) === 4, "four tasks are waiting");
    assertEquals(startedWorkers() - before, 4);
    assertEquals(gated.filter((future) => future.running()).length, 4);
    assertEquals(gated.filter((future) => future.state === "PENDING").length, 56);
    if (Deno.build.os === "linux") assertEquals(workerThreads(), 4 + 1, "and the watchdog of this test");
    openWords(words);
    assertEquals((await within(wait(gated))).done.size, 60);
    assertEquals(startedWorkers() - before, 4);
  } finally {
    openWords(words);
  }
});

test("ThreadPoolExecutor: three gated tasks start three workers, all end at shutdown", async () => {
  for (const blocking of [true, false]) {
    const words = gateWords();
    const pool = new ThreadPoolExecutor(8);
    const gated = [1, 2, 3].map((n) => pool.submit(awaitWord<number>, words, n));
    await until(() => Atomics.load(words, 1) === 3, "three tasks are waiting");
    assertEquals(liveWorkers(), 3);
    openWords(words);
    if (blocking) pool.shutdownSync();
    else await within(pool.shutdown());
    assertEquals(liveWorkers(), 0);
    assertEquals(gated.map((future) => future.result(0)), [1, 2, 3]);
  }
});

test("ThreadPoolExecutor has min(32, navigator.hardwareConcurrency + 4) workers by default", async () => {
  const expected = Math.min(32, navigator.hardwareConcurrency + 4);
  const before = startedWorkers();
  const words = gateWords();
  using pool = new ThreadPoolExecutor();
  try {
    const gated = Array.from({ length: expected + 10 }, () => pool.submit(awaitWord, words));
    await until(() => Atomics.load(words, 1) === expected, `${expected} tasks are waiting`);
    assertEquals(startedWorkers() - before, expected);
    openWords(words);
    await within(wait(gated));
    assertEquals(startedWorkers() - before, expected);
  } finally {
    openWords(words);
  }
});

test("ThreadPoolExecutor names its threads <prefix>_<i>, counted from 0", async () => {
  const words = gateWords();
  using pool = new ThreadPoolExecutor({ maxWorkers: 3, threadNamePrefix: "loader" });
  assertEquals(await within(pool.submit(threadName)), "loader_0");
  const gated = [1, 2, 3].map(() => pool.submit(awaitWord, words));
  await until(() => Atomics.load(words, 1) === 3, "three tasks are waiting");
  openWords(words);
  await within(wait(gated));
  const names = await within(Promise.all(Array.from({ length: 60 }, () => pool.submit(threadName))));
  for (const name of names) assertMatch(name, /^loader_[012]$/);
});

test("ThreadPoolExecutor names its threads ThreadPoolExecutor-<n>_<i>, n differs from pool to pool", async () => {
  using one = new ThreadPoolExecutor(1);
  using two = new ThreadPoolExecutor(1);
  const names = await within(Promise.all([one.submit(threadName), two.submit(threadName)]));
  for (const name of names) assertMatch(name, /^ThreadPoolExecutor-\d+_0$/);
  assert(names[0] !== names[1], `both are ${names[0]}`);
});

test("BrokenThreadPool is a BrokenExecutor and an Error", () => {
  const error = new BrokenThreadPool("text", { cause: 5 });
  assertInstanceOf(error, BrokenExecutor);
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.message, error.cause], ["BrokenThreadPool", "text", 5]);
});

// ---- shared memory ------------------------------------------------------------------------------------------------

test("ThreadPoolExecutor passes a SharedArrayBuffer, as argument and as result, without a copy", async () => {
  using pool = new ThreadPoolExecutor(2);
  const shared = new SharedArrayBuffer(8);
  await both(() => pool.submit(addToShared, shared, 5), (n) => assert(n === 5 || n === 10));
  assertEquals(new Int32Array(shared)[0], 10);
  const view = new Int32Array(shared);
  await within(Promise.all(Array.from({ length: 100 }, () => pool.submit(addToView, { view }, 1))));
  assertEquals(view[1], 100);
  await both(() => pool.submit(makeShared, 7), ({ shared }) => {
    assertInstanceOf(shared, SharedArrayBuffer);
    assertEquals([new Int32Array(shared)[0], shared.growable, shared.maxByteLength], [7, true, 8]);
  });
  using single = new ThreadPoolExecutor(1);
  const kept = await within(single.submit(keepShared));
  assertEquals(kept[0], 1);
  single.submit(keepShared).result(BOUND);
  assertEquals(kept[0], 2, "the same memory");
  assert(kept.buffer instanceof SharedArrayBuffer);
});

test("ThreadPoolExecutor passes one SharedArrayBuffer to several tasks and in several places", async () => {
  using pool = new ThreadPoolExecutor(1);
  const shared = new SharedArrayBuffer(4);
  await both(() => pool.submit(echo<unknown>, { a: shared, b: [shared, new Uint8Array(shared, 1, 2)] }), (back) => {
    const { a, b } = back as { a: SharedArrayBuffer; b: [SharedArrayBuffer, Uint8Array] };
    assertStrictEquals(a, b[0]);
    new Uint8Array(shared)[1]++;
    assertEquals(new Uint8Array(a)[1], new Uint8Array(shared)[1]);
    assertEquals(b[1][0], new Uint8Array(shared)[1]);
    assertEquals([b[1].byteOffset, b[1].length], [1, 2]);
  });
});

test("wait() and asCompleted() of ThreadPoolExecutor lose no wake-up when all finish at one notify", async () => {
  using pool = new ThreadPoolExecutor(4);
  for (let round = 0; round < 60; round++) {
    const words = gateWords();
    const futures = Array.from({ length: 4 }, (_, i) => pool.submit(awaitWord<number>, words, i));
    for (let i = 4; i < 40; i++) futures.push(pool.submit(echo<number>, i));
    while (Atomics.load(words, 1) < 4) Atomics.wait(words, 1, Atomics.load(words, 1), 5);
    let waiting: Promise<unknown> | undefined;
    if (round % 4 === 1) waiting = wait(futures);
    if (round % 4 === 3) waiting = Promise.all(futures);
    openWords(words);
    if (round % 4 === 0) assertEquals(waitSync(futures, { timeout: BOUND }).notDone.size, 0);
    else if (round % 4 === 2) assertEquals([...asCompleted(futures, { timeout: BOUND })].length, 40);
    else await within(waiting!);
    assertEquals(futures.map((future) => future.result(0)), futures.map((_, i) => i));
  }
});

// ---- transfer -----------------------------------------------------------------------------------------------------

test("transfer() moves a buffer as an argument: it is gone here at once, and whole there", async () => {
  using pool = new ThreadPoolExecutor(1);
  for (const size of [16, 1_000, 65_536, 1 << 20, 16 << 20]) {
    await both(() => {
      const bytes = new Uint8Array(size).fill(3);
      const future = pool.submit(sample, transfer(bytes, [bytes.buffer]));
      assertEquals([bytes.length, bytes.buffer.detached], [0, true]);
      return future;
    }, (seen) => assertEquals(seen, [size, 3, 3, 3]));
  }
});

test("transfer() moves a buffer as a return value", async () => {
  using pool = new ThreadPoolExecutor(1);
  for (const size of [16, 1 << 20]) {
    await both(() => pool.submit(lend, size), ({ buffer }) => assertEquals(buffer.byteLength, size));
    assertEquals(await within(pool.submit(hasLeft)), true, "the worker's is gone");
    await both(() => pool.submit(lendLater, size), (bytes) => {
      assertEquals([bytes.length, bytes[0], bytes[size - 1]], [size, 9, 9]);
    });
  }
  const bytes = new Uint8Array(1 << 20);
  const back = await within(pool.submit(fillAndTransfer, transfer(bytes, [bytes.buffer]), 7));
  assertEquals([bytes.length, back.length, back[5]], [0, 1 << 20, 7]);
});

test("transfer() works at any depth, for several buffers and arguments, and beside values of every kind", async () => {
  using pool = new ThreadPoolExecutor(1);
  const [a, b, c] = [1, 2, 3].map((n) => new Uint8Array(100_000).fill(n));
  const value = { deep: [{ a }], map: new Map([["b", b]]), when: new Date(1), big: 5n, url: new URL("http://a/") };
  const future = pool.submit(
    (value: unknown, other: Uint8Array, plain: unknown) => [value, other, plain],
    transfer(value, [a.buffer, b.buffer]) as unknown,
    transfer(c, [c.buffer]),
    { plain: true },
  );
  assertEquals([a.length, b.length, c.length], [0, 0, 0]);
  await both(future, ([back, other, plain]) => {
    const { deep, map, when, big, url } = back as typeof value;
    assertEquals([deep[0].a.length, deep[0].a[9], map.get("b")!.length, map.get("b")![9]], [100_000, 1, 100_000, 2]);
    assertEquals([when.getTime(), big, url.href], [1, 5n, "http://a/"]);
    assertEquals([(other as Uint8Array)[9], plain], [3, { plain: true }]);
  });
});

test("transfer() moves ports, both ways", async () => {
  using pool = new ThreadPoolExecutor(1);
  const { port1, port2 } = new MessageChannel();
  const heard = new Promise<unknown>((resolve) => port1.onmessage = ({ data }) => resolve(data));
  assertEquals(await within(pool.submit(answerOn, transfer({ port: port2 }, [port2]), "42")), "answered");
  assertEquals(await within(heard), "answer to 42");
  port1.close();
  const { port } = await within(pool.submit(makePort));
  assertEquals(await within(new Promise((resolve) => port.onmessage = ({ data }) => resolve(data))), "from the worker");
  port.close();
});

test("transfer() in the inputs of map() moves each item", () => {
  using pool = new ThreadPoolExecutor(2);
  for (const chunksize of [1, 3, undefined]) {
    const items = Array.from({ length: 8 }, (_, i) => new Uint8Array(10_000).fill(i));
    const results = pool.map(sample, items.map((bytes) => transfer(bytes, [bytes.buffer])), { chunksize });
    assertEquals(items.map((bytes) => bytes.length), Array(8).fill(0));
    assertEquals([...results], Array.from({ length: 8 }, (_, i) => [10_000, i, i, i]));
  }
});

test("transfer() in the async inputs of map() moves each item when it is read", async () => {
  using pool = new ThreadPoolExecutor(2);
  const items = [1, 2, 3, 4, 5].map((n) => new Uint8Array(100_000).fill(n));
  async function* read() {
    for (const bytes of items) yield await Promise.resolve(transfer(bytes, [bytes.buffer]));
  }
  const results = pool.map(sample, read(), { buffersize: 2, settled: true });
  const expected = items.map((_, i) => ({ status: "fulfilled" as const, value: [100_000, i + 1, i + 1, i + 1] }));
  assertEquals(await Array.fromAsync(results), expected);
  assertEquals(items.map((bytes) => bytes.length), [0, 0, 0, 0, 0]);
});

test("transfer() of what cannot be transferred fails the future, not submit()", async () => {
  using pool = new ThreadPoolExecutor(1);
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  const lists: [unknown, unknown[]][] = [
    [{ detached }, [detached]],
    [{ plain: 1 }, [{ plain: 1 }]],
    [new SharedArrayBuffer(4), [new SharedArrayBuffer(4)]],
  ];
  for (const [value, list] of lists) {
    const future = pool.submit(echo<unknown>, transfer(value, list as Transferable[]));
    await bothFail(future, (error) => assertInstanceOf(error, SerializationError, Deno.inspect(list)));
  }
  await bothFail(() => pool.submit(failToTransfer), (error) => assertInstanceOf(error, SerializationError));
  assertEquals(await within(pool.submit(square, 3)), 9);
});

test("transfer() refuses a list that is none, and leaves a primitive as it is", () => {
  for (const list of [undefined, new ArrayBuffer(1), { length: 0 }]) {
    assertThrows(
      () => transfer({}, list as unknown as []),
      TypeError,
      "The list of what transfer() moves must be an array: ",
    );
  }
  assertEquals(transfer(5, []), 5);
});

test("transfer() of a port must be a whole argument or result, and goes to no process", async () => {
  using pool = new ThreadPoolExecutor(1);
  using processes = new ProcessPoolExecutor(1);
  const { port1, port2 } = new MessageChannel();
  await bothFail(pool.submit(echo<unknown>, { port: transfer(port1, [port1]) }), (error) => {
    assertInstanceOf(error, SerializationError);
    assertEquals(error.path, "args[0].port");
    assertStringIncludes(
      error.message,
      "transfer() of something else than a buffer. To fix it, make it a whole argument or result",
    );
  });
  await bothFail(processes.submit(echo<unknown>, transfer(port1, [port1])), (error) => {
    assertInstanceOf(error, SerializationError);
    assertStringIncludes(error.message, "to another process: transfer() can move only buffers there");
  });
  port1.close();
  port2.close();
});

test("transfer() of a port changes nothing of what goes beside it, or refuses it", async () => {
  using pool = new ThreadPoolExecutor(1);
  class Point {
    x = 1;
  }
  const beside = () => ({
    error: Object.assign(new RangeError("e", { cause: 1 }), { code: 5 }),
    map: new Map([[-0, undefined]]),
    bytes: new Uint8Array([1, 2, 3]).subarray(1),
    own: JSON.parse('{"__proto__":1}'),
  });
  for (const wrap of [(port: MessagePort) => ({ port, ...beside() }), (port: MessagePort) => [[beside()], port]]) {
    const { port1, port2 } = new MessageChannel();
    const { port1: other, port2: last } = new MessageChannel();
    const back = await within(pool.submit(passOn, transfer(wrap(port1), [port1]), transfer(last, [last])));
    assertSame(back, [inspectWithoutPorts(wrap(other)), "MessagePort"]);
    for (const port of [port1, port2, other, last]) port.close();
  }
  const { port1, port2 } = new MessageChannel();
  for (
    const [path, value] of [
      ["args[0].point", { port1, point: new Point() }],
      ["args[0].list[1]", { port1, list: [0, Symbol("x")] }],
      ["args[1]", port1],
    ] as const
  ) {
    const args = path === "args[1]" ? [transfer(value, [port1]), new Point()] : [transfer(value, [port1])];
    await bothFail(pool.submit(list, ...args), (error) => {
      assertInstanceOf(error, SerializationError);
      assertEquals(error.path, path);
    });
  }
  // It is still here.
  port1.postMessage("hello");
  await within(new Promise((resolve) => port2.onmessage = resolve));
  port1.close();
  port2.close();
});

test("a view of a SharedArrayBuffer that can grow is refused where it might grow with it", async () => {
  using pool = new ThreadPoolExecutor(1);
  const memory = new SharedArrayBuffer(64, { maxByteLength: 128 });
  for (const view of [new Int32Array(memory), new Uint8Array(memory, 8), new DataView(memory)]) {
    await bothFail(pool.submit(echo<unknown>, view), (error) => {
      assertInstanceOf(error, SerializationError);
      assertStringIncludes(error.message, "send the memory and make the view in the task");
    });
  }
  const [part, back] = await within(
    pool.submit(echo<[Uint8Array, SharedArrayBuffer]>, [new Uint8Array(memory, 0, 8), memory]),
  );
  assertEquals([part.length, part.buffer === back, back.growable], [8, true, true]);
});

test("transfer() together with a value that is refused leaves the buffer where it was", () => {
  using pool = new ThreadPoolExecutor(1);
  const bytes = new Uint8Array(100);
  const future = pool.submit(echo<unknown>, transfer({ bytes, bad: () => 1 }, [bytes.buffer]) as unknown);
  assertInstanceOf(future.exception(BOUND), SerializationError);
  assertEquals(bytes.length, 100);
});

test("transfer() while the worker is busy, then cancelled or never run, disturbs nothing", async () => {
  using pool = new ThreadPoolExecutor(1);
  using gate = new Gate();
  const held = pool.submit(passGate, gate.path);
  await gate.arrived();
  const moved = Array.from({ length: 10 }, () => {
    const bytes = new Uint8Array(50_000).fill(5);
    return pool.submit(sample, transfer(bytes, [bytes.buffer]));
  });
  for (const future of moved.slice(0, 5)) assertEquals(future.cancel(), true);
  gate.open();
  await within(held);
  for (const future of moved.slice(5)) assertEquals(future.result(BOUND), [50_000, 5, 5, 5]);
});

// ---- tasks that reach for their worker ----------------------------------------------------------------------------

test("ThreadPoolExecutor: a task that posts messages and listens for them disturbs nothing", async () => {
  using pool = new ThreadPoolExecutor(1);
  for (let i = 0; i < 5; i++) {
    assertEquals(await within(pool.submit(meddle)), "meddled");
    assertEquals(pool.submit(square, i).result(BOUND), i * i);
    assertEquals((await within(pool.submit(echo<Uint8Array>, new Uint8Array(200_000)))).length, 200_000);
  }
});

test("ThreadPoolExecutor: a task that replaces global functions of its worker does not stop it", async () => {
  using pool = new ThreadPoolExecutor(1);
  assertEquals(await within(pool.submit(replaceBuiltIns)), "replaced");
  for (let i = 0; i < 5; i++) {
    assertEquals(pool.submit(square, i).result(BOUND), i * i);
    assertEquals(await within(pool.submit(lengthOf, "x".repeat(100_000))), 100_000);
  }
});

test("ThreadPoolExecutor: a task that asks the user says that threads cannot", async () => {
  using pool = new ThreadPoolExecutor(1);
  for (const task of [() => prompt("Name?"), () => alert("Hi"), () => localStorage.length]) {
    await bothFail(() => pool.submit<unknown[], unknown>(task), (error) => {
      assertInstanceOf(error, ReferenceError);
      assertMatch(
        error.message,
        /^(prompt|alert|localStorage) is not defined: threads do not have it\. If .* own: the function /,
      );
    });
  }
});

test("ThreadPoolExecutor works with --allow-read alone", async () => {
  assertEquals(await outputOf("permissions.ts", [], { flags: ["--allow-read"] }), {
    source: 3,
    reference: 9,
    mapped: [1, 4],
  });
});

test("ThreadPoolExecutor works in a program that is run from another directory", async () => {
  const there = `${temporaryPath("elsewhere")}.ts`;
  const mod = import.meta.resolve("../../mod.ts");
  Deno.writeTextFileSync(
    there,
    `import { ThreadPoolExecutor } from ${JSON.stringify(mod)};
     const by = 3;
     export function times(n: number): number { return n * by; }
     if (import.meta.main) {
       using pool = new ThreadPoolExecutor(1);
       console.log(JSON.stringify([await pool.submit(times, 2), pool.submit((n: number) => n + 1, 1).result()]));
     }`,
  );
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", "--quiet", "--config", config, there],
    cwd: "/",
    stderr: "inherit",
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "[6,2]\n"]);
});

test("ThreadPoolExecutor: a 10 ms timer is never late by more than 50 ms while large results are read", async () => {
  await bestOf(4, async () => {
    using pool = new ThreadPoolExecutor(1);
    const ledger = new Ledger();
    const { promise, resolve } = Promise.withResolvers<void>();
    let settled = 0;
    // They pile up. To read them takes some hundred milliseconds in all.
    for (let i = 0; i < 800; i++) {
      pool.submit(makeRows, 1_000).addDoneCallback(() => {
        if (++settled === 800) resolve();
      });
    }
    pool.submit(record, ledger.path, "last");
    untilSync(() => ledger.lines().length > 0, "all of them");
    await assertResponsive(() => within(promise, "800 results"));
  });
}, { bound: 60_000 });
