/**
 * `examples/primes.ts` as a user runs it, and its function.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { isPrime } from "../../examples/primes.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage } from "./_run.ts";

const ROOT = new URL("../../", import.meta.url);
const EXPECTED = `112272535095293 is prime: True
112582705942171 is prime: True
112272535095293 is prime: True
115280095190773 is prime: True
115797848077099 is prime: True
1099726899285419 is prime: False
`;

/** Runs a command line in the project's folder. A program that does not end by itself is killed after a minute. */
async function run(...args: string[]): Promise<[stdout: string, stderr: string, code: number]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
  return [text(stdout), text(stderr), code];
}

test("primes.ts prints what the program of Python's manual prints, with the command line that it names", async () => {
  const source = await Deno.readTextFile(new URL("examples/primes.ts", ROOT));
  const command = source.match(/^ \* deno (run .*)$/m)?.[1].split(" ") ?? [];
  assertEquals(command, ["run", "--allow-read", "--allow-run", "examples/primes.ts"]);
  const [subcommand, ...rest] = command;
  assertEquals(await run(subcommand, "--quiet", "--no-prompt", ...rest), [EXPECTED, "", 0]);
  assertAsOnPage("primes.ts", EXPECTED);
}, { bound: 65_000 });

test("primes.ts fails with one error that names the permission it lacks", async () => {
  for (const [held, lacking] of [["--allow-read", "--allow-run"], ["--allow-run", "--allow-read"]]) {
    const [stdout, stderr, code] = await run("run", "--quiet", "--no-prompt", held, "examples/primes.ts");
    assertEquals([stdout, code], ["", 1]);
    assertMatch(stderr, /^error: Uncaught \(in promise\) BrokenProcessPool: /);
    assertStringIncludes(stderr.split("\n", 1)[0], `run again with ${lacking}`);
  }
});

test("primes.ts does nothing when it is imported", async () => {
  const text = `await import(${JSON.stringify(new URL("examples/primes.ts", ROOT).href)})`;
  assertEquals(await run("eval", "--quiet", text), ["", "", 0]);
});

test("isPrime() of primes.ts knows the primes up to 100", () => {
  const all = Array.from({ length: 104 }, (_, i) => i - 3);
  const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];
  assertEquals(all.filter(isPrime), primes);
});
