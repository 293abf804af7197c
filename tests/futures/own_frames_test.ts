/** Which frames are left out of a stack. */
import { assertEquals } from "@std/assert";
import { withFrames, withoutFrames, withoutOwnFrames } from "../../futures/own_frames.ts";

const PACKAGE = new URL("../../", import.meta.url).href;
const [RUN, CALL] = ["executors/_runner/runner.ts:1:2", "futures/future.ts:3:4"].map((place) => `${PACKAGE}${place}`);
const USER = "    at task (file:///home/me/tasks.ts:5:6)";
const USER_ASYNC = "    at async https://jsr.io/@concurrent/other/1.0.0/executors/mod.ts:7:8";
const TIMERS = "    at listOnTimeout (ext:core/02_timers.js:307:17)";

const stacks: [what: string, stack: string[], left: string[]][] = [
  ["no frames", [], []],
  ["frames of the user only", [USER, USER_ASYNC], [USER, USER_ASYNC]],
  ["the caller of a task", [USER, `    at call (${RUN})`, `    at Runner.#run (${RUN})`, `    at async ${RUN}`], [
    USER,
  ]],
  ["the library within the user's", [`    at exit (${CALL})`, USER, `    at ${CALL}`, USER_ASYNC], [USER, USER_ASYNC]],
  ["what Deno has called for the library", [USER, `    at ${RUN}`, TIMERS, `    at x (${RUN})`, TIMERS], [USER]],
  ["what Deno has called for the user", [USER, TIMERS], [USER, TIMERS]],
  ["what the user has called and what that has called", [TIMERS, USER, TIMERS, USER], [TIMERS, USER, TIMERS, USER]],
  [
    "a callback of the library that the user has had called",
    [`    at get (${CALL})`, "    at Array.map (<anonymous>)", USER],
    ["    at Array.map (<anonymous>)", USER],
  ],
  ["a task that is a function of Deno", ["    at readFileSync (ext:deno_node/fs.ts:1:1)", `    at call (${RUN})`], [
    "    at readFileSync (ext:deno_node/fs.ts:1:1)",
  ]],
  ["a function that was sent as its text", [
    `    at eval (eval at run (${RUN}), <anonymous>:2:13)`,
    `    at x (${RUN})`,
  ], [
    "    at eval (<anonymous>:2:13)",
  ]],
  ["what somebody else has evaluated", ["    at eval (eval at f (file:///a.ts:1:1), <anonymous>:2:13)"], [
    "    at eval (eval at f (file:///a.ts:1:1), <anonymous>:2:13)",
  ]],
  [
    "an example in the library's documentation",
    [
      `    at task (${PACKAGE}executors/map.ts#3-9.ts:1:2)`,
      `    at x (${RUN})`,
      `    at ${PACKAGE}executors/map.ts#3-9.ts:7:1`,
    ],
    [`    at task (${PACKAGE}executors/map.ts#3-9.ts:1:2)`, `    at ${PACKAGE}executors/map.ts#3-9.ts:7:1`],
  ],
  ["where a task was submitted", [USER, `    at x (${RUN})`, "    submitted at file:///home/me/main.ts:9:1", USER], [
    USER,
    "    submitted at file:///home/me/main.ts:9:1",
    USER,
  ]],
];

for (const [what, stack, left] of stacks) {
  Deno.test(`withoutOwnFrames() of ${what}`, () => {
    const message = `two\n    at lines (${RUN})`;
    const text = (lines: string[]) => [`Error: ${message}`, ...lines].join("\n");
    assertEquals(withoutOwnFrames(text(stack), message), text(left));
  });
}

Deno.test("withoutOwnFrames() knows a folder by its name and by its URL", () => {
  const name = decodeURIComponent(PACKAGE);
  assertEquals(withoutOwnFrames(`Error\n    at x (${name}executors/executor.ts:1:1)\n${USER}`), `Error\n${USER}`);
  assertEquals(withoutOwnFrames(`Error\n    at x (${name}mod_of_a_user.ts:1:1)`).split("\n").length, 2);
});

Deno.test("withoutOwnFrames() takes any text", () => {
  for (const text of ["", "\n", "Error", "    at", "not a stack\nat all", "5"]) {
    assertEquals(withoutOwnFrames(text), text);
    assertEquals(withoutOwnFrames(text, "no part of it"), text);
  }
});

Deno.test("withFrames() and withoutFrames() change the limit for one call only, also where that throws", () => {
  const settings = Error as unknown as { stackTraceLimit: number | undefined };
  const { stackTraceLimit } = settings;
  try {
    for (const limit of [10, 1, undefined]) {
      settings.stackTraceLimit = limit;
      assertEquals(withoutFrames(() => new RangeError("short")).stack, "RangeError: short");
      assertEquals(withFrames(1, () => new Error("a")).stack!.split("\n").length, 2);
      let caught: unknown;
      try {
        withFrames(3, () => {
          throw new Error("thrown");
        });
      } catch (error) {
        caught = error;
      }
      assertEquals([(caught as Error).message, settings.stackTraceLimit], ["thrown", limit]);
    }
  } finally {
    settings.stackTraceLimit = stackTraceLimit;
  }
});
