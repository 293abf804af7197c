/**
 * {@linkcode ProcessPoolExecutor}: values that cannot cross or are huge, and tasks that print what looks like the
 * protocol.
 */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import {
  BrokenProcessPool,
  type Future,
  ProcessPoolExecutor,
  SerializationError,
  TaskExitError,
  waitSync,
} from "@concurrent/futures";
import { both, bothFail, BOUND, test, within } from "../_helpers.ts";
import { commandOf } from "../_start.ts";
import {
  closeStdout,
  killBesideProgram,
  makeBadResult,
  makeBadResultLater,
  makeStdoutImpatient,
  manyItems,
  outputs,
  ownPid,
  patternBytes,
  patternText,
} from "../fixtures/crash_tasks.ts";
import { echo, makeText, square } from "../fixtures/tasks.ts";
import { keepReplaced, lend } from "./_replacing.ts";

const name = "ProcessPoolExecutor";
const MODES = ["break", "replace"] as const;
const replacing = lend({ maxWorkers: 1, onWorkerCrash: "replace" });

function assertRefused(error: unknown, path: string): void {
  assertInstanceOf(error, SerializationError, Deno.inspect(error));
  assertEquals([error.name, error.path], ["SerializationError", path]);
  assertStringIncludes(error.message, path);
}

// ---- arguments ----------------------------------------------------------------------------------------------------

class Socket {
  readonly port = 80;
}

/** A list with a stream in it that leads back to the list. */
function cycleThroughStream(): unknown {
  const list: unknown[] = [0, 1];
  const stream = Object.assign(new ReadableStream(), { back: list });
  list.push({ socket: stream, list });
  return { list };
}

const ARGUMENTS: [string, () => unknown][] = [
  ["args[0].list[2].socket", () => ({ list: [0, 1, { socket: () => 1 }] })],
  ["args[0].list[2].socket", () => ({ list: [0, 1, { socket: new Socket() }] })],
  ["args[0].list[2].socket", cycleThroughStream],
  ["args[0].list[1].toJSON", () => ({ list: [0, { toJSON: () => "something else" }] })],
  ["args[0].a.b", () => ({
    a: {
      get b() {
        throw new RangeError("thrown by a getter");
      },
    },
  })],
  ["args[0]", () => Socket],
  ["args[0]", () => new Socket()],
  ["args[0]", () => () => 1],
];

test(`${name}: an argument that cannot cross fails its future alone, with the path, and the pool goes on`, async () => {
  const pool = replacing();
  const pid = pool.submit(ownPid).result(BOUND);
  for (const [path, make] of ARGUMENTS) {
    const before = pool.submit(square, 3);
    await bothFail(() => pool.submit(echo<unknown>, make()), (error) => assertRefused(error, path));
    const after = pool.submit(square, 4);
    await both(before, (value) => assertEquals(value, 9));
    await both(after, (value) => assertEquals(value, 16));
  }
  await both(() => pool.submit(ownPid), (value) => assertEquals(value, pid, "in the same process"));
});

// ---- results ------------------------------------------------------------------------------------------------------

test(`${name}: a result that cannot cross fails its future alone, with the path, and its process goes on`, async () => {
  const pool = replacing();
  const pid = pool.submit(ownPid).result(BOUND);
  for (const task of [makeBadResult, makeBadResultLater]) {
    for (
      const [which, path] of [
        ["function", "result.list[2].socket"],
        ["getter that throws", "result.b.c"],
        ["proxy that throws", "result"],
      ] as const
    ) {
      const [bad, next] = [pool.submit(task, which), pool.submit(square, 5)];
      await bothFail(bad, (error) => {
        assertRefused(error, path);
        if (path !== "result.list[2].socket") assertStringIncludes(error.message, "thrown by a");
      });
      await both(next, (value) => assertEquals(value, 25));
      await bothFail(() => pool.submit(task, which), (error) => assertRefused(error, path));
    }
    await bothFail(() => pool.submit(task, "getter that exits"), (error) => {
      assertInstanceOf(error, TaskExitError);
      assertEquals(error.exitCode, 9);
    });
  }
  await both(() => pool.submit(ownPid), (value) => assertEquals(value, pid, "in the same process"));
});

for (const onWorkerCrash of MODES) {
  test(`${name} {${onWorkerCrash}}: a getter in a result that kills the process`, async () => {
    for (const task of [makeBadResult, makeBadResultLater]) {
      await using own = onWorkerCrash === "break" ? new ProcessPoolExecutor(1) : undefined;
      const pool = own ?? replacing();
      const [bad, next] = [pool.submit(task, "getter that kills"), pool.submit(square, 5)];
      await bothFail(bad, (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertEquals([error.exitCode, error.signal], [137, "SIGKILL"]);
      });
      if (onWorkerCrash === "replace") await both(next, (value) => assertEquals(value, 25));
      else await bothFail(next, (error) => assert(error !== bad.exception(0) && error instanceof BrokenProcessPool));
    }
    if (onWorkerCrash === "replace") await keepReplaced();
  });
}

test(`${name}: a result of 12 MiB arrives whole, as text and as bytes, small ones behind it`, async () => {
  const pool = replacing();
  for (const [make, length] of [[makeText, 12 << 20], [patternText, 4 << 20]] as const) {
    const text = make(length, 5);
    await both(() => pool.submit(make, length, 5), (value) => assert(value === text, "another text"));
  }
  const bytes = patternBytes(12 << 20, 6);
  await both(() => pool.submit(patternBytes, 12 << 20, 6), (value) => {
    assertInstanceOf(value, Uint8Array);
    assertEquals(value.length, bytes.length);
    assertEquals(firstDifference(value, bytes), -1, "the first place where they differ");
  });
  await both(() => pool.submit(square, 7), (value) => assertEquals(value, 49));
}, { bound: 60_000 });

test(`${name}: a list of 60,000 items arrives whole`, async () => {
  const pool = replacing();
  const items = manyItems(60_000);
  const expected = JSON.stringify(items);
  await both(() => pool.submit(manyItems, 60_000), (value) => assert(JSON.stringify(value) === expected));
  await both(() => pool.submit(echo<unknown>, items), (value) => assert(JSON.stringify(value) === expected));
}, { bound: 60_000 });

test(`${name}: each of 20,000 small results at once goes to its own future`, async () => {
  using pool = new ProcessPoolExecutor(2);
  const futures: Future<number>[] = [];
  for (let i = 0; i < 20_000; i++) futures.push(pool.submit(echo<number>, i));
  const half = futures.slice(0, 10_000);
  waitSync(half, { timeout: 3 * BOUND });
  let wrong = 0;
  for (const [i, future] of half.entries()) if (future.result(0) !== i) wrong++;
  const values = await within(Promise.all(futures), "20,000 futures", 3 * BOUND);
  for (const [i, value] of values.entries()) if (value !== i) wrong++;
  assertEquals(wrong, 0);
}, { bound: 120_000 });

// ---- what tasks print ---------------------------------------------------------------------------------------------

const printed = new Map<string, Promise<Deno.CommandOutput>>();

/**
 * What `programs/crash_output.ts` prints in one of some ways, byte by byte. It is run once for all of them, and prints
 * equally much in each.
 */
async function printedBy(way: string, ways = [way]): Promise<Uint8Array> {
  const key = ways.join();
  const signal = AbortSignal.timeout(25_000 * ways.length);
  printed.set(key, printed.get(key) ?? commandOf("crash_output.ts", ways, { signal }).output());
  const { code, stdout, stderr } = await printed.get(key)!;
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 0, said);
  assertEquals(JSON.parse(said)[way], [], `${stdout.length} bytes on stdout`);
  const length = stdout.length / ways.length;
  return stdout.subarray(ways.indexOf(way) * length, (ways.indexOf(way) + 1) * length);
}

/** Where two lists of bytes differ first; -1 where nowhere. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length === b.length) {
    const [x, y] = [a, b].map(({ buffer, byteOffset, length }) => new DataView(buffer, byteOffset, length));
    let i = 0;
    for (; i + 4 <= a.length && x.getUint32(i) === y.getUint32(i); i += 4);
    for (; i < a.length && a[i] === b[i]; i++);
    return i === a.length ? -1 : i;
  }
  let i = 0;
  while (a[i] === b[i]) i++;
  return i;
}

function assertPrinted(printed: Uint8Array, expected: Uint8Array): void {
  const at = firstDifference(printed, expected);
  if (at === -1) return;
  const around = (bytes: Uint8Array) => JSON.stringify(new TextDecoder().decode(bytes.subarray(at - 20, at + 60)));
  throw new Error(`differs at ${at} of ${expected.length}: ${around(printed)} instead of ${around(expected)}`);
}

async function joined(parts: (Uint8Array | string)[]): Promise<Uint8Array> {
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

for (const way of ["sync", "async", "program", "dies"]) {
  const how = {
    sync: "a task prints it",
    async: "a task prints it without blocking",
    program: "a program of a task's prints it",
    dies: "a task prints it and dies",
  }[way];
  test(`${name}: what looks like the protocol is printed whole, before the result, when ${how}`, async () => {
    const expected = await joined(outputs().flatMap(([, bytes], i) => [bytes, `<${i}>`]));
    assertPrinted(await printedBy(way, way === "dies" ? undefined : ["sync", "async", "program"]), expected);
  }, { bound: 90_000 });
}

test(
  `${name}: what a program prints while results are on their way is printed byte for byte, and they are whole`,
  async () => {
    const lines = Array.from({ length: 3_000 }, (_, i) => `line ${i + 1} ${"x".repeat((i + 1) % 9000)}\n`);
    assertPrinted(await printedBy("background"), await joined(lines));
  },
  { linuxOnly: true },
);

test(`${name}: a result arrives whole past a program that made the shared stdout non-blocking`, async () => {
  using pool = new ProcessPoolExecutor(1);
  const text = patternText(4 << 20, 1);
  await both(() => pool.submit(makeStdoutImpatient, 4 << 20), (value) => assert(value === text, "another text"));
}, { linuxOnly: true });

for (const onWorkerCrash of MODES) {
  test(`${name} {${onWorkerCrash}}: a task that closes stdout has its result, and so has the next one`, async () => {
    for (const later of [false, true]) {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
      const [closing, next] = [pool.submit(closeStdout, later), pool.submit(square, 6)];
      await both(closing, (value) => assertEquals(value, 1));
      await both(next, (value) => assertEquals(value, 36));
    }
  });

  test(`${name} {${onWorkerCrash}}: a program that keeps the pipes of a dead process open delays nothing`, async () => {
    const start = performance.now();
    {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
      await bothFail(() => pool.submit(killBesideProgram, 8), (error) => assertInstanceOf(error, BrokenProcessPool))
        .catch((error) => {
          // The second one is refused at once.
          if (onWorkerCrash !== "break" || !(error instanceof BrokenProcessPool)) throw error;
        });
      if (onWorkerCrash === "replace") await both(() => pool.submit(square, 6), (value) => assertEquals(value, 36));
    }
    assert(performance.now() - start < 4_000, `${performance.now() - start} ms`);
  });
}
