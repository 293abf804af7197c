/** {@linkcode ProcessPoolExecutor}: what tasks print appears on the program's standard output and error. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { commandOf, isAlive, Running } from "../_start.ts";
import { sleep, temporaryPath, test, until, within } from "../_helpers.ts";
import { lineOf, someBytes, type Stream, ways } from "../fixtures/output_tasks.ts";

const STREAMS: Stream[] = ["stdout", "stderr"];
const MIB = 1 << 20;
/** How many bytes tasks print at once. */
const SIZES = [0, 1, 2, 41, 300, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000];

interface Printed {
  code: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
  /** What it told in its file. */
  told: unknown[];
}

function toldIn(path: string): unknown[] {
  try {
    return Deno.readTextFileSync(path).split("\n").slice(0, -1).map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function run(way: string, ...rest: string[]): Promise<Printed> {
  const path = temporaryPath("told");
  // The series is what five programs could do.
  const signal = AbortSignal.timeout(way === "series" ? 75_000 : 25_000);
  const { code, stdout, stderr } = await commandOf("prints.ts", [way, path, ...rest], { signal }).output();
  return { code, stdout, stderr, told: toldIn(path) };
}

const runs = new Map<string, Promise<Printed>>();

/** As {@linkcode run}, once for all tests that look at what one program prints. */
function runOnce(...args: Parameters<typeof run>): Promise<Printed> {
  const key = args.join(" ");
  const printed = runs.get(key) ?? run(...args);
  runs.set(key, printed);
  return printed;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function linesOf(who: string, count: number): string {
  return Array.from({ length: count }, (_, i) => `${lineOf(who, i)}\n`).join("");
}

/** As `assertEquals`, for many bytes. */
function assertBytes(seen: Uint8Array, expected: Uint8Array): void {
  const at = expected.findIndex((byte, i) => seen[i] !== byte);
  assert(
    at === -1 && seen.length === expected.length,
    `${seen.length} of ${expected.length} bytes, different at ${at}`,
  );
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** What the program of the next tests prints on each stream: a line in each way, turns, bytes, and two MiB twice. */
const SERIES = [
  new TextEncoder().encode(ways.map((way) => `${way} says ä\n`).join("")),
  new TextEncoder().encode(Array.from({ length: 60 }, (_, i) => `task ${i}\nmain ${i}\n`).join("")),
  concat(SIZES.flatMap((size, i) => [someBytes(size, i), someBytes(size, i)])),
  concat([0, 0, 1, 1].map((i) => someBytes(MIB, SIZES.length + i))),
];

/** Checks one of them. */
async function assertSeries(stream: Stream, at: number): Promise<void> {
  const printed = await runOnce("series", ...SIZES.map(String), `${MIB}`, `${MIB}`);
  assertEquals(printed.code, 0, new TextDecoder().decode(printed.stderr.subarray(-1_000)));
  assertEquals(printed[stream].length, concat(SERIES).length, "nothing else is printed");
  const start = concat(SERIES.slice(0, at)).length;
  assertBytes(printed[stream].subarray(start, start + SERIES[at].length), SERIES[at]);
}

test("ProcessPoolExecutor passes on what tasks print in every way, on the same stream and in order", async () => {
  for (const stream of STREAMS) await assertSeries(stream, 0);
}, { bound: 90_000 });

for (const stream of STREAMS) {
  const other = stream === "stdout" ? "stderr" : "stdout";

  test(`ProcessPoolExecutor: what a task prints on ${stream} is there before its result`, async () => {
    await assertSeries(stream, 1);
  }, { bound: 90_000 });

  test(`ProcessPoolExecutor passes on any bytes on ${stream}, also what looks like its own messages`, async () => {
    await assertSeries(stream, 2);
  }, { bound: 90_000 });

  test(`ProcessPoolExecutor passes on a MiB without an end of line on ${stream}`, async () => {
    await assertSeries(stream, 3);
  }, { bound: 90_000 });

  test(`ProcessPoolExecutor keeps lines of four processes on ${stream} whole, in the order of each`, async () => {
    const printed = await runOnce("lines");
    assertEquals(printed.code, 0);
    const seen = text(printed[stream]).split("\n");
    assertEquals([seen.pop(), seen.length], ["", 4_000]);
    for (const who of stream === "stdout" ? ["a", "b", "c", "d"] : ["e", "f", "g", "h"]) {
      const own = seen.filter((line) => line.startsWith(`${who} `)).map((line) => `${line}\n`).join("");
      assert(own === linesOf(who, 1_000), `the lines of ${who}`);
    }
  });

  for (const [i, how] of ["by itself", "exit", "shutdown", "kill", "terminate"].entries()) {
    test(
      `ProcessPoolExecutor: what was printed on ${stream} before a result arrives when the program ends: ${how}`,
      async () => {
        // A little and much, one awaited and one blocking, and at the next end the other way round.
        for (const [blocking, count] of [["", i % 2 ? 1 : 3_000], [" blocking", i % 2 ? 3_000 : 1]] as const) {
          const printed = await runOnce("ends", how + blocking, String(count));
          assertEquals(printed.code, 0);
          const [seen, expected] = [text(printed[stream]), linesOf(stream, count)];
          assert(seen === expected, `${how}${blocking}: ${seen.length} of ${expected.length} characters`);
        }
      },
      { bound: 60_000 },
    );
  }

  test(`ProcessPoolExecutor: tasks and the program go on when nobody reads ${stream} any more`, async () => {
    const path = temporaryPath("told");
    const options = { stdin: "piped", signal: AbortSignal.timeout(25_000) } as const;
    const child = commandOf("prints.ts", ["unread", path, stream], options).spawn();
    const others = new Response(child[other]).text();
    const reader = child[stream].getReader();
    const { value } = await within(reader.read(), "the first line");
    assertEquals(text(value!), `${lineOf("a", 0)}\n`);
    await reader.cancel();
    const writer = child.stdin.getWriter();
    await writer.write(new Uint8Array(1));
    await writer.close();
    assertEquals([(await child.status).code, await others], [0, ""]);
    assertEquals(toldIn(path), [[1, 2, 3], "end"]);
  });
}

test("ProcessPoolExecutor: what a task printed before it was killed arrives", async () => {
  const path = temporaryPath("told");
  const options = { stdin: "piped", signal: AbortSignal.timeout(25_000) } as const;
  const child = commandOf("prints.ts", ["killed", path], options).spawn();
  const read = async (stream: ReadableStream<Uint8Array>, length: number, then = () => {}) => {
    let seen = "";
    for await (const chunk of stream) {
      seen += text(chunk);
      if (seen.length >= length) then();
    }
    return seen;
  };
  const [a, b] = [`${linesOf("a", 300)}\x1e`, linesOf("b", 300)];
  const writer = child.stdin.getWriter();
  const go = () => void writer.write(new Uint8Array(1)).catch(() => {});
  const [stdout, stderr] = await Promise.all([read(child.stdout, a.length), read(child.stderr, b.length, go)]);
  await writer.close().catch(() => {});
  assertEquals([stdout === a, stderr === b, (await child.status).code], [true, true, 0]);
  assertEquals(toldIn(path), ["BrokenProcessPool"]);
});

for (const way of ["blocking", "awaiting"]) {
  test(`ProcessPoolExecutor: a slow reader gets all that was printed, ${way} the shutdown`, async () => {
    const path = temporaryPath("told");
    const child = commandOf("prints.ts", ["slow", path, way], { signal: AbortSignal.timeout(25_000) }).spawn();
    const stderr = new Response(child.stderr).text();
    await until(() => toldIn(path).length > 0, "the shutdown");
    const counts = new Array<number>(256).fill(0);
    let length = 0;
    for await (const chunk of child.stdout) {
      length += chunk.length;
      for (const byte of chunk) counts[byte]++;
      await sleep(2); // reads slowly
    }
    const expected = new Array<number>(256).fill(0);
    for (const seed of [0, 1, 2, 3]) for (const byte of someBytes(1 << 19, seed)) expected[byte]++;
    assertEquals([length, (await child.status).code, await stderr], [4 << 19, 0, ""]);
    assertEquals(counts, expected);
    assertEquals(toldIn(path), ["shuts down", "end"]);
  });
}

test("ProcessPoolExecutor: programs that print while their process returns results disturb neither", async () => {
  const loop = "while [ ! -e FILE ]; do echo a line; done";
  const { code, stdout, stderr, told } = await run("background", `${loop} & ${loop} & head -c 2000000 /dev/zero; wait`);
  assertEquals([code, text(stderr), told], [0, "", [[60, 0]]]);
  const lines = stdout.filter((byte) => byte !== 0);
  assertEquals(stdout.length - lines.length, 2_000_000);
  assert(text(lines) === "a line\n".repeat(Math.ceil(lines.length / 7)), "other lines");
});

test(
  "ProcessPoolExecutor: a program that outlives its process and keeps its output open does not hold up shutdown",
  async () => {
    const { code, stdout, stderr, told } = await run("left-behind");
    const pid = Number(text(stdout));
    assert(isAlive(pid));
    Deno.kill(pid, "SIGKILL");
    assertEquals([code, text(stderr)], [0, ""]);
    assertLess(told[0] as number, 2_000);
  },
  { linuxOnly: true },
);

for (const stream of STREAMS) {
  for (const how of ["shutdown", "the end of the program"]) {
    test(
      `ProcessPoolExecutor: a program that outlives its process and prints on, to ${stream}, does not hold up ${how}`,
      async () => {
        const path = temporaryPath("told");
        const child = commandOf("prints.ts", ["endless", path, how, stream], { signal: AbortSignal.timeout(25_000) })
          .spawn();
        const read = async (stream: ReadableStream<Uint8Array>) => {
          let begin = "";
          for await (const bytes of stream) if (begin.length < 20_000) begin += text(bytes);
          return begin;
        };
        const [{ code, at }, stdout, stderr] = await Promise.all([
          child.status.then((status) => ({ ...status, at: Date.now() })),
          read(child.stdout),
          read(child.stderr),
        ]);
        const [begin, end = at] = toldIn(path) as number[];
        assertEquals(code, 0);
        assert((stream === "stdout" ? stdout : stderr).startsWith(linesOf("a", 100)));
        assertLess(end - begin, 1_500);
      },
      { linuxOnly: true },
    );
  }
}

test("ProcessPoolExecutor prints nothing of its own: no warning of Deno's, whatever the options", async () => {
  for (const [permissions, flags] of [["none", ["--allow-read", "--allow-run"]], ["inherit", ["-A"]]] as const) {
    const command = commandOf("granted.ts", [JSON.stringify([permissions, [], "/"])], { flags });
    const { code, stdout, stderr } = await command.output();
    assertEquals([code, text(stdout), text(stderr)], [0, '[{"states":[],"loaded":42}]\n', ""]);
  }
  await using program = new Running("child_arguments.ts", ["--quiet"], ["-A"]);
  await within(program.child.status);
  assertEquals(await program.stderr, "");
});
