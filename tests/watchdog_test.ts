/** The `test()` of these tests: what it prints of a test that hangs, and what it finds that a test leaves behind. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Ended, runProgram, test } from "./_helpers.ts";

/** What both kinds of pools are doing: two tasks run, and three wait. */
const SLOTS = /slots: pending=3 prefetched=0 running=2 done=0 cancelled=0/;
const KINDS = ["ThreadPoolExecutor", "ProcessPoolExecutor"];

/** Runs the test in `hangs.ts` of each kind of pool, and checks how it ends. */
async function hang(how: string, check: (kind: string, ended: Ended) => void): Promise<void> {
  const runs = KINDS.map((kind) => runProgram("hangs.ts", ["--", kind, how], { command: "test", bound: 60_000 }));
  for (const [i, ended] of (await Promise.all(runs)).entries()) check(KINDS[i], ended);
}

test("test() ends the process when the main thread is blocked for ever, and tells the state of each pool", async () => {
  await hang("blocked", (kind, { signal, stdout, stderr }) => {
    const report = stdout + stderr;
    assertEquals(signal, "SIGKILL", report);
    assertMatch(report, new RegExp(`${kind}: blocked: the main thread has been blocked for 2000 ms`));
    assertMatch(report, /pool 1: queue head=\d+ tail=\d+ finished=0 .* bell armed=1 rung=\d+/);
    assertMatch(report, SLOTS);
    const isThreads = kind === "ThreadPoolExecutor";
    assertMatch(report, isThreads ? /statuses=\[ACTIVE,ACTIVE\]/ : /statuses=\[ACTIVE\]/);
    const rings = [...report.matchAll(new RegExp(`  ${kind}-0\\S*: results head=\\d+ tail=\\d+ posted=0`, "g"))];
    assertEquals(rings.length, isThreads ? 2 : 1, report);
    if (Deno.build.os !== "linux") return;
    assertMatch(report, /^thread \d+ \(worker-\d+\) [RS]$/m);
    assertEquals([...report.matchAll(/^child process \d+ \(deno\) /mg)].length, isThreads ? 0 : 2, report);
  });
});

test("test() fails a test that awaits for ever, and tells the state of each pool", async () => {
  await hang("awaiting", (kind, { code, stdout, stderr }) => {
    const report = stdout + stderr;
    assertEquals(code, 1, report);
    assertMatch(report, /the test: not settled after 1000 ms/);
    assertMatch(report, new RegExp(`live workers: ${kind}-0`));
    assertMatch(report, new RegExp(`${kind} OPEN: unsettled=5 waiting=0 collected=0 workers=\\d`));
    assertMatch(report, SLOTS);
    if (Deno.build.os !== "linux") return;
    assertMatch(report, kind === "ThreadPoolExecutor" ? /child processes: none/ : /child processes: \d+, \d+/);
  });
});

test("test() fails a test that leaves a timer, listener, worker, resource or child process behind", async () => {
  const { code, stdout, stderr } = await runProgram("leaks.ts", [], { command: "test", bound: 60_000 });
  const says: Record<string, RegExp | undefined> = {
    "a timer": /A timer was started in this test/,
    "an interval that keeps nothing alive": /An interval was started in this test/,
    "a listener": /these listeners were never removed[^]*"unload"/,
    "a listener that is called once": /these listeners were never removed[^]*"error"/,
    "a worker": /these workers were never terminated[^]*no name/,
    "a pool": /these workers were never terminated[^]*ThreadPoolExecutor-0_0/,
    "a file": /A file was opened during the test/,
    "nothing": undefined,
    // Elsewhere the sanitizer of resources sees it.
    "a child process": Deno.build.os === "linux" ? /child processes outlive the test/ : /child process/,
  };
  const report = stdout + stderr;
  const outcomes = Array.from(
    stdout.matchAll(/^leaves (.*) \.\.\. (ok|FAILED)/mg),
    ([, what, outcome]) => [what, outcome],
  );
  assertEquals(
    outcomes,
    Object.entries(says).map(([what, text]) => [what, text === undefined ? "ok" : "FAILED"]),
    report,
  );
  assertEquals(code, 1);
  const [, ...errors] = stdout.split(/^ FAILURES $/m)[0].split(/^leaves (?=.* => )/m);
  for (const error of errors) {
    const [what] = error.split(" => ");
    const text = says[what];
    assert(text !== undefined, report);
    assertMatch(error, text);
  }
  assertEquals(errors.length, Object.keys(says).length - 1, report);
});
