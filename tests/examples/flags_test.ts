/**
 * `examples/flags.ts` as a user runs it: a child process, its output, its exit code, and the files it leaves.
 *
 * @module
 */

import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import * as flags from "country-flag-icons/string/3x2";
import { COMMAND } from "../../examples/flags.ts";
import { assertAsOnPage, assertCannotUse } from "./_run.ts";

const ROOT = join(import.meta.dirname!, "..", "..");
const POP20 = "BD BR CD CN DE EG ET FR ID IN IR JP MX NG PH PK RU TR US VN".split(" ");
const MODES = ["sequential", "threads", "as-completed", "processes", "async"];

type Run = Record<"stdout" | "stderr", string> & { code: number };

/** Starts the program. A child that does not end by itself is killed after a minute, and then its exit code tells. */
function spawn(args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-P", "--no-prompt", "examples/flags.ts", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).spawn();
}

async function run(args: string[]): Promise<Run> {
  const { code, stdout, stderr } = await spawn(args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

function flagOf(code: string): string {
  return flags[code as keyof typeof flags];
}

function assertFlags(dest: string, codes: string[]) {
  const names = [...Deno.readDirSync(dest)].map((entry) => entry.name).sort();
  assertEquals(names, codes.map((code) => `${code.toLowerCase()}.svg`).sort());
  for (const code of codes) {
    const svg = Deno.readTextFileSync(join(dest, `${code.toLowerCase()}.svg`));
    assertMatch(svg, /^<svg [^]*<\/svg>$/, `the flag of ${code} is a whole image`);
    assertEquals(svg, flagOf(code), `the flag of ${code} is the one of the package`);
  }
}

/** What a failed run looks like: nothing but one line on stderr, which is not a stack trace. */
function assertOneLine({ code, stderr }: Run, expectedCode: number, ...parts: string[]) {
  for (const part of parts) assertStringIncludes(stderr, part);
  assertMatch(stderr, /^[^\n]+\n$/);
  assert(!/^\s+at |\.ts:\d+|^Error|Uncaught/.test(stderr), `a stack trace: ${stderr}`);
  assertEquals(code, expectedCode);
}

/** An address where nobody answers: that of a server which has just gone. */
function deadUrl(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
}

/** A directory that does not exist yet, in one that goes away. */
function temporaryDest(): Disposable & { dest: string } {
  const parent = Deno.makeTempDirSync({ prefix: "flags_test_" });
  return {
    dest: join(parent, "not", "there", "yet"),
    [Symbol.dispose]: () => Deno.removeSync(parent, { recursive: true }),
  };
}

/** Runs a mode, and checks that it saves 20 whole flags. */
async function runAndSave(mode: string, ...args: string[]): Promise<Run> {
  using temporary = temporaryDest();
  const ended = await run(["--mode", mode, "--dest", temporary.dest, ...args]);
  assertEquals(ended.stderr, "");
  assertFlags(temporary.dest, POP20);
  return ended;
}

/** What two tests look at. Two processes show as much as 20 do, and cost less. */
let inTwoProcesses: Promise<Run> | undefined;

function runInTwoProcesses(): Promise<Run> {
  return inTwoProcesses ??= runAndSave("processes", "--workers", "2", "--latency", "100");
}

for (const mode of ["sequential", "threads", "processes", "async"]) {
  Deno.test(`flags.ts --mode ${mode} shows each code once, then the time, and saves 20 whole flags`, async () => {
    const run = mode === "processes" ? runInTwoProcesses() : runAndSave(mode, "--latency", "50");
    const { code, stdout } = await run;
    const match = stdout.match(/^((?:[A-Z]{2} ){20})\n20 flags downloaded in (\d+\.\d\d)s\n$/);
    assert(match !== null, stdout);
    const shown = match[1].trim().split(" ");
    assertEquals(shown.toSorted(), POP20);
    if (mode === "sequential") {
      assertEquals(shown, POP20, "one after the other, in the order of the alphabet");
      assertGreaterOrEqual(Number(match[2]), 20 * 0.05);
    }
    assertEquals(code, 0);
  });
}

Deno.test("flags.ts --workers 1 downloads in the order of the alphabet, in a pool of one", async () => {
  using temporary = temporaryDest();
  const { code, stdout } = await run(["--workers", "1", "--latency", "0", "--dest", temporary.dest]);
  assertEquals(stdout.split("\n")[0].trim().split(" "), POP20);
  assertEquals(code, 0);
});

Deno.test("flags.ts --mode processes --workers 2 downloads 10 flags in each of two processes", async () => {
  const { code, stdout } = await runInTwoProcesses();
  assertGreaterOrEqual(Number(stdout.match(/in (\d+\.\d\d)s\n$/)?.[1]), 1);
  assertEquals(code, 0);
});

Deno.test("flags.ts --mode as-completed shows three futures at work, two in the queue, then the end", async () => {
  using temporary = temporaryDest();
  const { code, stdout, stderr } = await run(["--mode", "as-completed", "--latency", "1000", "--dest", temporary.dest]);
  assertEquals(stderr, "");
  const lines = stdout.trimEnd().split("\n");
  const codes = ["BR", "CN", "ID", "IN", "US"];

  const scheduled = lines.slice(0, 5).map((line) =>
    line.match(/^Scheduled for (..): <Future (#\d+) state=(\w+)>$/) ?? []
  );
  assertEquals(scheduled.map(([, cc]) => cc), codes, stdout);
  assertEquals(scheduled.map(([, , , state]) => state), ["running", "running", "running", "pending", "pending"]);
  const numberOf = new Map(scheduled.map(([, cc, number]) => [cc, number]));
  assertEquals(new Set(numberOf.values()).size, 5);

  // A worker may show its code at any moment, also in front of a line that main prints, but each write is whole.
  const rest = lines.slice(5, -1).join("\n");
  const finished = [...rest.matchAll(/<Future (#\d+) state=finished returned string> result: "(..)"/g)];
  assertEquals(finished.map(([, , cc]) => cc).sort(), codes, stdout);
  for (const [, number, cc] of finished) assertEquals(number, numberOf.get(cc));
  const shown = rest.replaceAll(/<Future .*? result: ".."/g, "").trim().split(/\s+/);
  assertEquals(shown.toSorted(), codes, stdout);
  for (const cc of codes) assert(rest.indexOf(`${cc} `) < rest.indexOf(`"${cc}"`), "a result comes after its flag");

  assertMatch(lines.at(-1)!, /^5 flags downloaded in \d+\.\d\ds$/);
  assertFlags(temporary.dest, codes);
  assertEquals(code, 0);
});

Deno.test("flags.ts --compare shows that threads are faster than one after the other, and by how much", async () => {
  using temporary = temporaryDest();
  // `deno task soak compare` does it with the 20 workers that there are by default.
  const args = ["--compare", "--workers", "3", "--latency", "100", "--dest", temporary.dest];
  const { code, stdout, stderr } = await run(args);
  assertEquals([code, stderr], [0, ""]);
  assertAsOnPage("flags.ts", stdout);
  const [head, ...rows] = stdout.trimEnd().split("\n").map((line) => line.trim().split(/\s+/));
  assertEquals(head, ["mode", "seconds", "speed-up"]);
  assertEquals(rows.map(([mode]) => mode), MODES, stdout);
  const seconds = new Map(rows.map(([mode, seconds]) => [mode, Number(seconds)]));
  for (const [mode, each, speedUp] of rows) {
    const ratio = seconds.get("sequential")! / Number(each);
    // Both are rounded.
    const rounded = 0.01 / Number(each) + 0.06 / ratio;
    assert(Math.abs(ratio / parseFloat(speedUp) - 1) < rounded, `the speed-up of ${mode}: ${stdout}`);
  }
  assertGreaterOrEqual(seconds.get("sequential")!, 20 * 0.1);
  // How many times faster takes longer to see: `deno task soak compare`.
  assertGreaterOrEqual(seconds.get("sequential")!, seconds.get("threads")!, stdout);
  assertFlags(temporary.dest, POP20);
});

const BAD_OPTIONS: [args: string[], ...told: string[]][] = [
  [["--mode", "fast"], "--mode", '"fast"', ...MODES],
  [["--mode", "toString"], "--mode", '"toString"'],
  [["--workers", "0"], "--workers", '"0"', "whole number"],
  [["--workers=-1"], "--workers", "-1", "whole number"],
  [["--workers", "-1"], "--workers", "-1"],
  [["--workers", "1.5"], "--workers", '"1.5"', "whole number"],
  [["--workers", "many"], "--workers", '"many"', "whole number"],
  [["--workers="], "--workers", "whole number"],
  [["--latency", "soon"], "--latency", '"soon"', "milliseconds"],
  [["--latency=-5"], "--latency", "-5", "milliseconds"],
  [["--latency", "1e9"], "--latency", '"1e9"', "milliseconds"],
  [["--latency", "99999999999"], "--latency", "99999999999", "milliseconds"],
  [["--dest="], "--dest", "directory"],
  [["--base-url", "flags"], "--base-url", '"flags"', "http"],
  [["--base-url", "file:///etc"], "--base-url", '"file:///etc"', "http"],
  [["--fast"], "--fast", "--help"],
  [["-x"], "-x", "--help"],
  [["threads"], "threads", "--help"],
  [["--", "threads"], "threads", "--help"],
];

for (const [args, ...told] of BAD_OPTIONS) {
  Deno.test(`flags.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}

for (const args of [...MODES.map((mode) => ["--mode", mode]), ["--compare"]]) {
  Deno.test(`flags.ts ${args.join(" ")} fails with one line when no server can be reached`, async () => {
    using temporary = temporaryDest();
    const url = deadUrl();
    const all = [...args, "--workers", "1", "--base-url", url, "--dest", temporary.dest];
    assertOneLine(await run(all), 1, "Cannot download", url);
    assertFlags(temporary.dest, []);
  });
}

Deno.test("flags.ts --dest with the name of a file fails with one line and exit code 1", async () => {
  using temporary = temporaryDest();
  Deno.mkdirSync(join(temporary.dest, ".."), { recursive: true });
  Deno.writeTextFileSync(temporary.dest, "a file");
  assertOneLine(await run(["--dest", temporary.dest]), 1, temporary.dest);
});

Deno.test("flags.ts --base-url downloads from that server, with or without a slash at its end", async () => {
  const asked: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return new Response(flagOf(pathname.slice(-6, -4).toUpperCase()));
  });
  for (const end of ["", "/"]) {
    using temporary = temporaryDest();
    const url = `http://127.0.0.1:${server.addr.port}/some/flags${end}`;
    const { code, stderr } = await run(["--base-url", url, "--mode", "async", "--dest", temporary.dest]);
    assertEquals(stderr, "");
    assertEquals(asked.splice(0).sort(), POP20.map((cc) => `/some/flags/${cc.toLowerCase()}.svg`));
    assertFlags(temporary.dest, POP20);
    assertEquals(code, 0);
  }
});

for (const mode of MODES) {
  Deno.test(`flags.ts --mode ${mode} fails with one line when a flag is missing, and saves no error page`, async () => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const code = new URL(request.url).pathname.slice(-6, -4).toUpperCase();
      return code === "CN" ? new Response("gone", { status: 404 }) : new Response(flagOf(code));
    });
    using temporary = temporaryDest();
    const url = `http://127.0.0.1:${server.addr.port}`;
    const result = await run(["--mode", mode, "--workers", "1", "--base-url", url, "--dest", temporary.dest]);
    assertOneLine(result, 1, `${url}/cn.svg`, "404");
    assert(![...Deno.readDirSync(temporary.dest)].some(({ name }) => name === "cn.svg"));
  });
}

for (const mode of MODES) {
  Deno.test(`flags.ts --mode ${mode} goes on quietly when nobody reads its output any more`, async () => {
    using temporary = temporaryDest();
    const child = spawn(["--mode", mode, "--workers", "2", "--latency", "20", "--dest", temporary.dest]);
    const stderr = new Response(child.stderr).text();
    await child.stdout.cancel();
    assertEquals(await stderr, "");
    assertEquals((await child.status).code, 0);
    assertFlags(temporary.dest, mode === "as-completed" ? ["BR", "CN", "ID", "IN", "US"] : POP20);
  });
}
