/**
 * `examples/flags2.ts` as a user runs it: a child process, its output, its exit code, and the files it leaves.
 *
 * @module
 *
 * Over 400 lines: each outcome of a download, in three versions of the program.
 */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  fail,
} from "@std/assert";
import { join } from "@std/path";
import * as flags from "country-flag-icons/string/3x2";
import { COUNTRIES } from "../../examples/_flags_common.ts";
import { COMMAND, requestsAtOnce } from "../../examples/flags2.ts";
import { assertAsOnPage, assertCannotUse, linesOf, ROOT, type Run, runExample } from "./_run.ts";
import { Server } from "./_server.ts";

const MODES = ["sequential", "threads", "processes", "async"];
const POP20 = "BD BR CD CN DE EG ET FR ID IN IR JP MX NG PH PK RU TR US VN".split(" ");

/** No server that may be running has it, so that the program brings its own. */
const SEED = `${Date.now()}`;

/** A directory that goes away at the end of the block. */
class Dest implements Disposable {
  readonly #parent = Deno.makeTempDirSync({ prefix: "flags2_test_" });
  readonly path = join(this.#parent, "not", "there", "yet");

  /** The codes whose flags were saved, each of which must be whole. */
  saved(): string[] {
    const codes: string[] = [];
    for (const { name } of Deno.readDirSync(this.path)) {
      const code = name.match(/^([a-z]{2})\.svg$/)?.[1].toUpperCase() ?? fail(name);
      assertEquals(Deno.readTextFileSync(join(this.path, name)), flags[code as keyof typeof flags]);
      codes.push(code);
    }
    return codes.sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#parent, { recursive: true });
  }
}

/** What the report says. */
interface Report {
  label: string;
  site: string;
  searching: string;
  connections: string;
  /** What is between the announcement and the report. */
  details: string[];
  interrupted: string | undefined;
  /** Downloaded, not found, errors. */
  counts: [number, number, number];
  elapsed: number;
}

const REPORT = new RegExp(
  [
    /^(\w+) site: (http\S+)\nSearching for (.+)\n(.+) will be used\.\n([^]*)-{20}\n(?:(Interrupted .*)\n)?/,
    /(\d+) flags? downloaded\.\n(\d+) not found\.\n(\d+) errors?\.\nElapsed time: (\d+\.\d\d)s\n$/,
  ].map(({ source }) => source).join(""),
);

/** Reads what the program has printed; fails when anything but a report and what leads to it is there. */
function reportIn(stdout: string): Report {
  const match = stdout.match(REPORT);
  if (match === null) fail(`no report: ${stdout}`);
  const [, label, site, searching, connections, details, interrupted, ok, missing, errors, elapsed] = match;
  return {
    label,
    site,
    searching,
    connections,
    details: details.split("\n").slice(0, -1),
    interrupted,
    counts: [Number(ok), Number(missing), Number(errors)],
    elapsed: Number(elapsed),
  };
}

async function report(args: string[], dest: Dest): Promise<Report> {
  return reportIn(linesOf(await runExample("flags2.ts", [...args, "--dest", dest.path])).join("\n") + "\n");
}

function sum(counts: number[]): number {
  return counts.reduce((a, b) => a + b);
}

/** A site for REMOTE: some flags are missing or fail, and nothing is known of the others but that they are there. */
function startSite(outcomes: Record<string, number | "broken">) {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const code = pathname.slice(-6, -4).toUpperCase();
    const outcome = outcomes[code] ?? 200;
    if (outcome === "broken") {
      return new Response(ReadableStream.from([new Uint8Array(9)]), { headers: { "content-length": "999" } });
    }
    return new Response(outcome === 200 ? flags[code as keyof typeof flags] : "no", { status: outcome });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/some/flags`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

// ---- the examples of the book -------------------------------------------------------------------------------------

for (const [mode, connections] of [["sequential", 1], ["threads", 20], ["processes", 4], ["async", 5]]) {
  Deno.test(`flags2.ts --mode ${mode} downloads 20 flags from LOCAL, ${connections} at the same time`, async () => {
    using dest = new Dest();
    const { label, site, ...rest } = await report(["--mode", `${mode}`, "--seed", SEED], dest);
    assertEquals(label, "LOCAL");
    assertMatch(site, /^http:\/\/127\.0\.0\.1:\d+\/flags$/);
    assertEquals(rest, {
      searching: "20 flags: from BD to VN",
      connections: `${connections} concurrent connection${connections === 1 ? "" : "s"}`,
      details: [],
      interrupted: undefined,
      counts: [20, 0, 0],
      elapsed: rest.elapsed,
    });
    assertEquals(dest.saved(), POP20);
  });
}

Deno.test("flags2.ts -s DELAY a b c finds 43 of 78 flags, in threads by default, and waits for them", async () => {
  using dest = new Dest();
  const args = ["-s", "DELAY", "-m", "10", "--seed", SEED, "a", "b", "c"];
  const { label, searching, connections, counts, elapsed } = await report(args, dest);
  assertEquals([label, searching, connections], ["DELAY", "78 flags: from AA to CZ", "10 concurrent connections"]);
  assertEquals(counts, [43, 35, 0]);
  assertGreaterOrEqual(elapsed, 8 * 0.25);
  assertEquals(dest.saved(), COUNTRIES.filter((cc) => cc < "D"));
  assertEquals(requestsAtOnce("threads", 78), 30);
});

Deno.test("flags2.ts -s ERROR -al 100 -m 100 prints counts that add up to 100, the same for a seed", async () => {
  const runs: string[][] = [];
  for (const mode of ["threads", "async", "processes"]) {
    using dest = new Dest();
    const args = ["-s", "ERROR", "-al", "100", "-m", "100", "--seed", SEED, "--mode", mode];
    const run = await runExample("flags2.ts", [...args, "--dest", dest.path]);
    assertAsOnPage("flags2.ts", run.stdout);
    const { label, searching, connections, counts } = reportIn(linesOf(run).join("\n") + "\n");
    assertEquals([label, searching], ["ERROR", "100 flags: from AD to LK"]);
    assertEquals(connections, `${mode === "processes" ? 32 : 100} concurrent connections`);
    assertEquals(sum(counts), 100);
    assertEquals(counts[1], 0);
    assert(counts[2] > 5 && counts[2] < 50, `${counts[2]} errors`);
    assertEquals(dest.saved().length, counts[0]);
    runs.push([...counts.map(String), ...dest.saved()]);
  }
  for (const other of runs.slice(1)) assertEquals(other, runs[0]);
  using dest = new Dest();
  await report(["-s", "ERROR", "-al100", "-m100", "--mode", "async", "--seed", `${SEED}1`], dest);
  assertNotEquals(dest.saved(), runs[0].slice(3), "another seed fails for others");
});

// ---- which flags --------------------------------------------------------------------------------------------------

const CHOICES: [args: string[], searching: string, downloaded: number, notFound: number][] = [
  [["br"], "1 flag: BR", 1, 0],
  [["us", "BR", "us", "xx"], "3 flags: BR, US, XX", 2, 1],
  [["z", "zw"], "26 flags: from ZA to ZZ", 3, 23],
  [["--all"], "194 flags: from AD to ZW", 194, 0],
  [["-e"], "676 flags: from AA to ZZ", 194, 482],
  [["--every", "--limit", "30"], "30 flags: from AA to BD", 14, 16],
  [["-l", "3"], "3 flags: BD, BR, CD", 3, 0],
  [["-l", "1000"], "20 flags: from BD to VN", 20, 0],
];

for (const [args, searching, downloaded, notFound] of CHOICES) {
  Deno.test(`flags2.ts ${args.join(" ")} searches for ${searching}`, async () => {
    using dest = new Dest();
    const found = await report([...args, "--mode", "async", "--seed", SEED], dest);
    assertEquals([found.searching, found.counts], [searching, [downloaded, notFound, 0]]);
    assertEquals(dest.saved().length, downloaded);
  });
}

for (
  const [args, connections, modes] of [
    [["-m", "2"], 2, ["threads", "processes", "async"]],
    [["--max_req", "7"], 7, ["threads"]],
    [["--max-req=3"], 3, ["async"]],
  ] as const
) {
  Deno.test(`flags2.ts ${args.join(" ")} makes ${connections} requests at the same time, and no more`, async () => {
    for (const mode of modes) {
      let now = 0;
      let most = 0;
      await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 40));
        now--;
        return new Response("", { status: 404 });
      });
      using dest = new Dest();
      const url = `http://127.0.0.1:${server.addr.port}`;
      const found = await report([...args, "--mode", mode, "-s", "REMOTE", "--base-url", url], dest);
      assertEquals([found.connections, found.counts], [`${connections} concurrent connections`, [0, 20, 0]]);
      assertLessOrEqual(most, connections);
      if (mode === "async") assertEquals(most, connections);
    }
  });
}

// ---- what happens to each country ---------------------------------------------------------------------------------

for (const mode of MODES) {
  Deno.test(`flags2.ts -v --mode ${mode} names each country: saved, not found, or why it failed`, async () => {
    await using site = startSite({ IN: 404, ID: 500, IR: 503, IT: "broken" });
    using dest = new Dest();
    const args = ["-v", "--mode", mode, "-m", "2", "-s", "remote", "--base-url", `${site.url}/`];
    const found = await report([...args, "IN", "ID", "IE", "IR", "IS", "IT"], dest);
    assertEquals([found.label, found.site], ["REMOTE", site.url]);
    const details = found.details.toSorted();
    assertMatch(details.shift()!, /^\*\*\* Error for ID: HTTP 500 - Internal Server Error$/);
    assertMatch(details.shift()!, /^\*\*\* Error for IR: HTTP 503 - Service Unavailable$/);
    assertMatch(details.shift()!, /^\*\*\* Error for IT: connection error: .+/);
    assertEquals(details, ["IE OK", "IN not found", "IS OK"]);
    assertEquals(found.counts, [2, 1, 3]);
    assertEquals(dest.saved(), ["IE", "IS"]);
    assertEquals(site.asked.sort(), ["id", "ie", "in", "ir", "is", "it"].map((cc) => `/some/flags/${cc}.svg`));
  });
}

for (const mode of MODES) {
  Deno.test(`flags2.ts --mode ${mode} counts a server that cannot be reached as errors`, async () => {
    let url: string;
    {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      url = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
    }
    using dest = new Dest();
    const found = await report(["--mode", mode, "-m", "1", "-l", "3", "-s", "REMOTE", "--base-url", url], dest);
    assertEquals([found.counts, found.details], [[0, 0, 3], []]);
    assertEquals(dest.saved(), []);
  });
}

// ---- which server -------------------------------------------------------------------------------------------------

for (const [label, port] of [["LOCAL", 8001], ["DELAY", 8002], ["ERROR", 8003]] as const) {
  Deno.test(`flags2.ts -s ${label} uses the server at port ${port}, if one runs there with the same seed`, async () => {
    await using server = await serverAt(label);
    assertEquals(server.url, `http://127.0.0.1:${port}/flags`);
    using dest = new Dest();
    // So many that some come when a quarter of the answers fail, whatever the seed.
    const codes = ["AD", "AE", "AF", "AG", "AL", "AM", "AO", "AR"];
    const args = ["-s", label, "--mode", "async", "-m", "8", ...codes];
    const found = await report([...args, "--seed", SEED], dest);
    assertEquals([found.site, found.counts], [server.url, [0, 0, 8]]);
    const other = await report([...args, "--seed", `${SEED}1`], dest);
    assertNotEquals(other.site, server.url);
    assertGreaterOrEqual(other.counts[0], 1);
  });
}

/** The ports are fixed, so another run of the tests may have a server there: then it is waited for. */
async function serverAt(label: string): Promise<Server> {
  const end = performance.now() + 60_000;
  while (true) {
    const server = await Server.start("-s", label, "--delay", "0-0", "--error-rate", "1", "--seed", SEED);
    if (server.url !== "") return server;
    await server[Symbol.asyncDispose]();
    if (performance.now() > end) fail(`the port of ${label} is taken`);
  }
}

Deno.test("flags2.ts may not reach a site that the permissions do not name: one line, and exit code 1", async () => {
  for (const mode of MODES) {
    using dest = new Dest();
    const args = ["--mode", mode, "-s", "REMOTE", "--base-url", "http://127.0.0.2:8001", "--dest", dest.path];
    const { code, stderr } = await runExample("flags2.ts", args);
    assertMatch(stderr, /^[^\n]+\n$/);
    for (const part of ["127.0.0.2:8001", "run again with", "--allow-net"]) assertStringIncludes(stderr, part);
    assertEquals([code, dest.saved()], [1, []]);
  }
});

Deno.test("flags2.ts --dest with the name of a file fails with one line and exit code 1", async () => {
  using dest = new Dest();
  Deno.mkdirSync(join(dest.path, ".."), { recursive: true });
  Deno.writeTextFileSync(dest.path, "a file");
  const { code, stderr } = await runExample("flags2.ts", ["--dest", dest.path]);
  assertMatch(stderr, /^[^\n]+\n$/);
  assertStringIncludes(stderr, dest.path);
  assertEquals(code, 1);
});

// ---- the terminal -------------------------------------------------------------------------------------------------

Deno.test("flags2.ts prints no control characters into a pipe", async () => {
  for (const args of [[], ["-v"]]) {
    using dest = new Dest();
    const { stdout, stderr } = await runExample("flags2.ts", ["--seed", SEED, "-m", "1", "--dest", dest.path, ...args]);
    // deno-lint-ignore no-control-regex
    assertEquals((stdout + stderr).match(/[\x00-\x09\x0b-\x1f\x7f-\x9f]|%|█/), null);
  }
});

if (Deno.build.os === "linux") {
  for (const columns of [80, 40]) {
    Deno.test(`flags2.ts draws a bar that fits on a terminal of ${columns} columns, unless it is verbose`, async () => {
      for (const verbose of [false, true]) {
        using dest = new Dest();
        const deno = `${Deno.execPath()} run --quiet -P --no-prompt examples/flags2.ts`;
        const command = `stty cols ${columns}; ${deno} -m 1 --seed ${SEED} ${verbose ? "-v" : ""} --dest ${dest.path}`;
        const { code, stdout } = await new Deno.Command("script", {
          args: ["-qec", command, "/dev/null"],
          cwd: ROOT,
          env: { NO_COLOR: "1", TERM: "xterm" },
          stdin: "null",
          stdout: "piped",
          signal: AbortSignal.timeout(60_000),
        }).output();
        // deno-lint-ignore no-control-regex
        const drawn = new TextDecoder().decode(stdout).replaceAll(/\x1b(?:\[[?\d;]*[A-Za-z]|\d)/g, "\r").split(
          /[\r\n]+/,
        );
        const bars = drawn.filter((line) => /^ *\d+% \|/.test(line));
        if (verbose) assertEquals(bars, []);
        else {
          assertMatch(bars[0], / {2}0% \|░+\| 0\/20/);
          assertMatch(bars.at(-1)!, /^100% \|█+\| 20\/20/);
          // Behind it is room for what the terminal writes at Ctrl-C.
          for (const bar of bars) assertEquals(bar.length, columns - 3, bar);
        }
        const { counts } = reportIn(drawn.filter((line) => line !== "" && !bars.includes(line)).join("\n") + "\n");
        assertEquals([code, counts], [0, [20, 0, 0]]);
      }
    });
  }
}

if (Deno.build.os !== "windows") {
  for (const mode of MODES) {
    Deno.test(`flags2.ts --mode ${mode} reports on Ctrl-C what was done so far, and exits with code 130`, async () => {
      using dest = new Dest();
      const args = ["-s", "DELAY", "-a", "-m", "2", "--mode", mode, "--seed", SEED, "--dest", dest.path];
      const { code, stdout, stderr } = await interrupted(
        args,
        () => savedSoFar(dest) > (mode === "sequential" ? 1 : 2),
      );
      assertEquals([stderr, code], ["", 130]);
      const found = reportIn(stdout);
      const done = Number(found.interrupted?.match(/^Interrupted after (\d+) of 194\.$/)?.[1]);
      assert(done >= 1 && done < 194, stdout);
      assertEquals(sum(found.counts), done);
      // Those that had just come in may be saved, but not be counted.
      assertGreaterOrEqual(savedSoFar(dest), found.counts[0]);
      assertLessOrEqual(savedSoFar(dest), found.counts[0] + 2);
    });
  }
}

function savedSoFar(dest: Dest): number {
  try {
    return [...Deno.readDirSync(dest.path)].length;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Runs the program, and interrupts it when something holds. Its processes must be gone with it. */
async function interrupted(args: string[], when: () => boolean): Promise<Run> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-P", "--no-prompt", "examples/flags2.ts", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  // These end when every process that may write there has ended.
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  let ended = false;
  const status = child.status.finally(() => ended = true);
  while (!when() && !ended) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!ended) child.kill("SIGINT");
  const { code } = await status;
  const end = performance.now();
  const [stdout, stderr] = await texts;
  assertLessOrEqual(performance.now() - end, 5_000, "processes are left");
  return { code, stdout, stderr };
}

// ---- the command line ---------------------------------------------------------------------------------------------

const BAD_OPTIONS: [args: string[], ...told: string[]][] = [
  [["-l", "0"], "--limit", '"0"', "whole number"],
  [["-l", "-5"], '"-5"'],
  [["-l", ""], '""'],
  [["-al"], "--limit", "value"],
  [["-alx"], '"x"'],
  [["-m", "0"], "--max_req", '"0"', "whole number"],
  [["--max_req", "-1"], '"-1"'],
  [["--max-req", "many"], '"many"'],
  [["-s", "NOWHERE"], "--server", '"NOWHERE"', "LOCAL, DELAY, ERROR, REMOTE"],
  [["-s", "toString"], '"toString"'],
  [["-s", "REMOTE"], "--base-url", "http"],
  [["-s", "REMOTE", "--base-url", "flags"], '"flags"', "http"],
  [["-s", "REMOTE", "--base-url", "file:///etc"], '"file:///etc"'],
  [["--base-url", "http://127.0.0.1"], '"http://127.0.0.1"', "REMOTE"],
  [["--mode", "fast"], "--mode", '"fast"', MODES.join(", ")],
  [["--mode", "toString"], '"toString"'],
  [["--seed", "x"], "--seed", '"x"'],
  [["--dest="], "--dest", "directory"],
  [["USA"], '"USA"', "two letters"],
  [["1"], '"1"'],
  [["--", "-a"], '"-a"'],
  [["-ax"], "-x"],
  [["--limi", "3"], "--limi"],
  [["--all=yes"], "--all=yes", "no value"],
];

for (const [args, ...told] of BAD_OPTIONS) {
  Deno.test(`flags2.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
