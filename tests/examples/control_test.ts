/**
 * `examples/control.ts` as a user runs it: each part, on threads and on processes, with Ctrl-C and in a terminal.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMAND } from "../../examples/control.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, commandsOf, linesOf, ROOT, runExample, type Watch } from "./_run.ts";

const KINDS = { processes: "ProcessPoolExecutor", threads: "ThreadPoolExecutor" };

/** More than a program may take. */
const OPTIONS = { bound: 65_000 };

for (const [kind, Executor] of Object.entries(KINDS)) {
  test(`control.ts -x ${kind} runs its four parts, and nobody presses Ctrl-C`, async () => {
    const run = await runExample("control.ts", ["-x", kind, "--seconds", "0", "--numbers", "50"]);
    const parts = linesOf(run).join("\n").split("\n\n").map((part) => part.split("\n"));
    assertEquals(parts.length, 4, run.stdout);
    const [loop, interrupt, progress, server] = parts;
    if (kind === "processes") assertAsOnPage("control.ts", run.stdout);

    // The loop, and only that, fails; its worker is replaced, or goes on.
    const [stopped] = loop.splice(loop.findIndex((line) => line.startsWith("TimeoutError")), 1);
    assertMatch(stopped, new RegExp(`^TimeoutError: Task endless was stopped on ${Executor}-0_\\d, .*: 1000 ms$`));
    assertEquals(loop.slice(1, 5).sort(), [17984, 25997, 33860, 9592].map((count) => `a task found ${count} primes`));
    assertEquals(loop[5], "afterwards a task found 168 primes");
    assertMatch(loop[6], new RegExp(`^<${Executor} workers=[12] idle=[012] running=0 queued=0 done=5 failed=1>$`));

    const tasks = [1, 2, 3, 4, 5, 6];
    const ends = tasks.map((n) => [`task ${n} finished`, `task ${n} started`]).flat();
    assertEquals(interrupt.slice(1).sort(), ends);

    // All that the tasks have said has arrived.
    assertEquals(progress.slice(1), ["there are 17984 primes among the 200000 numbers that were tried"]);

    assertEquals([server[1], server[3]], Array(2).fill("2 requests: 2 times 200 done"));
    const [, done, busy] = /^12 requests: (\d+) times 200 done, (\d+) times 503 busy$/.exec(server[2])!.map(Number);
    assertEquals(done + busy, 12);
    // Two run and four wait, or four wait and none has been started so far.
    assert(done >= 4 && busy >= 1, server[2]);
  }, OPTIONS);
}

if (Deno.build.os !== "windows") {
  /** Presses Ctrl-C whenever the program has printed the next one of some texts. */
  const pressAfter = (...texts: RegExp[]): Watch => (stdout, program) => {
    if (texts.length === 0 || !texts[0].test(stdout)) return;
    texts.shift();
    program.kill("SIGINT");
  };
  const BOTH = /started\n[^]*started\n/;
  const ASKED = /Press Ctrl-C again/;

  /** What became of each of the six tasks, when Ctrl-C has come. */
  const outcomesIn = (stdout: string) =>
    [1, 2, 3, 4, 5, 6].map((n) => new RegExp(`^task ${n} (?!started)(.*)$`, "m").exec(stdout)?.[1]);
  const NEVER = Array(4).fill("never started");

  for (const kind of Object.keys(KINDS)) {
    test(`control.ts interrupt -x ${kind}: Ctrl-C lets two tasks finish, and starts no other one`, async () => {
      const args = ["interrupt", "-x", kind, "--seconds", "3", "--patience", "50"];
      const { code, stdout, stderr } = await runExample("control.ts", args, 60_000, pressAfter(BOTH));
      assertEquals([stderr, code], ["", 130]);
      assertEquals(outcomesIn(stdout), ["finished", "finished", ...NEVER]);
    }, OPTIONS);

    test(`control.ts interrupt -x ${kind}: a second Ctrl-C stops what still runs`, async () => {
      const args = ["interrupt", "-x", kind, "--seconds", "1000", "--patience", "1000"];
      const { code, stdout, stderr } = await runExample("control.ts", args, 60_000, pressAfter(BOTH, ASKED));
      assertEquals([stderr, code], ["", 130]);
      const stopped = "was stopped: Ctrl-C was pressed again";
      assertEquals(outcomesIn(stdout), [stopped, stopped, ...NEVER]);
    }, OPTIONS);

    test(`control.ts interrupt -x ${kind}: what still runs some time after Ctrl-C is stopped`, async () => {
      const args = ["interrupt", "-x", kind, "--seconds", "1000", "--patience", "0.1"];
      const { code, stdout, stderr } = await runExample("control.ts", args, 60_000, pressAfter(BOTH));
      assertEquals([stderr, code], ["", 130]);
      const stopped = "was stopped: the 0.1 s are over";
      assertEquals(outcomesIn(stdout), [stopped, stopped, ...NEVER]);
    }, OPTIONS);
  }

  test("control.ts interrupt loop: Ctrl-C ends the program before the next part", async () => {
    const args = ["interrupt", "loop", "--seconds", "1000"];
    const { code, stdout } = await runExample("control.ts", args, 60_000, pressAfter(BOTH, ASKED));
    assertEquals([code, stdout.includes("endless")], [130, false]);
  }, OPTIONS);
}

if (Deno.build.os === "linux") {
  test("control.ts progress draws a bar in a terminal, which four processes move on", async () => {
    const [, ...command] = commandsOf("control.ts")[0].split(" ");
    const deno = [Deno.execPath(), ...command, "progress"].join(" ").replace(" run ", " run --quiet --no-prompt ");
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", `stty cols 80; ${deno}`, "/dev/null"],
      cwd: ROOT,
      env: { NO_COLOR: "1", TERM: "xterm" },
      stdin: "null",
      stdout: "piped",
      signal: AbortSignal.timeout(60_000),
    }).output();
    // deno-lint-ignore no-control-regex
    const drawn = new TextDecoder().decode(stdout).replaceAll(/\x1b(?:\[[?\d;]*[A-Za-z]|\d)/g, "\r").split(/[\r\n]+/);
    const bars = drawn.filter((line) => /^ *\d+% \|/.test(line));
    assertMatch(bars[0], /^ {2}0% \|░+\| 0\/3000 thousand$/);
    assertMatch(bars.at(-1)!, /^100% \|█+\| 3000\/3000 thousand, [\d.]+\/s, \d+ s$/);
    // It has moved in between, and never back.
    const values = bars.map((bar) => Number(/(\d+)\/3000 /.exec(bar)![1]));
    assertEquals(values, values.toSorted((a, b) => a - b));
    assert(new Set(values).size > 3, bars.join("\n"));
    assertStringIncludes(drawn.join("\n"), "216816 primes among the 3000000");
    assertEquals(code, 0);
  }, OPTIONS);
}

for (
  const [args, ...told] of [
    [["loop", "4"], '"4"', "one of loop, interrupt, progress, server"],
    [["--numbers", "0"], '--numbers "0"', "a whole number from 1 to 100000"],
    [["--seconds", "-1"], '--seconds "-1"', "a number of seconds from 0 to 3600"],
    [["--patience", "5s"], '--patience "5s"', "a number of seconds from 0 to 3600"],
    [["-x", "cluster"], '--executor "cluster"', "one of processes, threads"],
  ] as [string[], ...string[]][]
) test(`control.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
