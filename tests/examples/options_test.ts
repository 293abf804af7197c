/** What the command lines of all examples have in common: `examples/_options.ts`. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertCannotUse } from "./_run.ts";
import { COMMAND as arcfour } from "../../examples/arcfour.ts";
import { COMMAND as clusterFlags } from "../../examples/cluster/flags.ts";
import { COMMAND as clusterSha } from "../../examples/cluster/sha.ts";
import { COMMAND as clusterStart } from "../../examples/cluster/start.ts";
import { COMMAND as control } from "../../examples/control.ts";
import { COMMAND as copyFiles } from "../../examples/copy_files.ts";
import { COMMAND as deadlocks } from "../../examples/deadlocks.ts";
import { COMMAND as demo } from "../../examples/demo_executor_map.ts";
import { COMMAND as flagServer } from "../../examples/flag_server.ts";
import { COMMAND as flags } from "../../examples/flags.ts";
import { COMMAND as flags2 } from "../../examples/flags2.ts";
import { COMMAND as loadUrls } from "../../examples/load_urls.ts";
import { COMMAND as mixed } from "../../examples/mixed.ts";
import { COMMAND as primes } from "../../examples/primes.ts";
import { COMMAND as mandelbrot } from "../../examples/real/mandelbrot.ts";
import { COMMAND as thumbnails } from "../../examples/real/thumbnails.ts";
import { COMMAND as sandbox } from "../../examples/real/sandbox.ts";
import { COMMAND as server } from "../../examples/real/server.ts";
import { COMMAND as wordcount } from "../../examples/real/wordcount.ts";
import { COMMAND as sha } from "../../examples/sha.ts";
import { commandLine, helpOf, oneOf, parse, type Setting, type Switch, wholeNumber } from "../../examples/_options.ts";

const COMMAND = commandLine({
  about: "Bake bread.",
  command: "deno run bread.ts",
  example: "-f rye 2",
  options: {
    flour: { short: "f", value: "NAME", text: "what to bake with", reads: oneOf(["rye", "WHEAT"]), default: "rye" },
    max_size: { value: "N", text: "how large a loaf may be", reads: wholeNumber(1), alias: "max-size" },
    salt: { short: "s", text: "add salt" },
    yeast: { short: "y", text: "add yeast" },
  },
  operands: { value: "LOAVES", text: "how many at a time", reads: wholeNumber(1, 9) },
});

const NOTHING = { flour: "rye" as const, salt: false, yeast: false, operands: [] };

test("parse() reads switches, settings and what stands beside them, in any order", () => {
  for (
    const [args, values] of [
      [[], {}],
      [["-f", "wheat"], { flour: "WHEAT" }],
      [["-fwheat"], { flour: "WHEAT" }],
      [["--flour", "rye", "--flour=wheat"], { flour: "WHEAT" }],
      [["-sy", "3"], { salt: true, yeast: true, operands: [3] }],
      [["-syf", "WHEAT", "1"], { salt: true, yeast: true, flour: "WHEAT", operands: [1] }],
      [["1", "--salt", "2", "--", "3"], { salt: true, operands: [1, 2, 3] }],
      [["--max_size", "7"], { max_size: 7 }],
      [["--max-size=7"], { max_size: 7 }],
    ] as [string[], object][]
  ) assertEquals<object | undefined>(parse(COMMAND, args), { ...NOTHING, ...values }, args.join(" "));
});

test("parse() leaves it to the caller to print the help, whatever else is given", () => {
  for (const args of [["--help"], ["-h"], ["-sh"], ["--max_size", "0", "-h"], ["--fast", "--help"]]) {
    assertEquals(parse(COMMAND, args), undefined, args.join(" "));
  }
});

const OPTIONS = "one of --flour, --max_size, --salt, --yeast, --help";

for (
  const [args, ...told] of [
    [["--fast"], "Cannot use --fast: ", OPTIONS],
    [["--fast=1"], "Cannot use --fast: ", OPTIONS],
    [["--toString"], "Cannot use --toString: ", OPTIONS],
    [["-x"], "Cannot use -x: ", OPTIONS],
    [["-sx"], "Cannot use -x: ", OPTIONS],
    [["-1"], "Cannot use -1: ", OPTIONS],
    [["--salt=yes"], "Cannot use --salt=yes: ", "no value"],
    [["--help=no"], "Cannot use --help=no: ", "no value"],
    [["--flour", "corn"], 'Cannot use --flour "corn": ', "one of rye, WHEAT"],
    [["-f", "toString"], 'Cannot use --flour "toString": '],
    [["--flour="], 'Cannot use --flour "": '],
    [["--flour"], "Cannot use --flour without a value: ", "one of rye, WHEAT"],
    [["-sf"], "Cannot use --flour without a value: "],
    [["--flour", "--salt"], "Cannot use --flour without a value: "],
    [["-f", "-s"], "Cannot use --flour without a value: "],
    [["--max-size", "many"], 'Cannot use --max_size "many": ', "a whole number from 1 up"],
    [["--max_size", "-5"], 'Cannot use --max_size "-5": '],
    [["--max_size", "1e9"], 'Cannot use --max_size "1e9": '],
    [["--max_size", "1.5"], 'Cannot use --max_size "1.5": '],
    [["--max_size", "9999999999999999"], 'Cannot use --max_size "9999999999999999": '],
    [["10"], 'Cannot use "10": ', "a whole number from 1 to 9"],
    [["--", "-s"], 'Cannot use "-s": '],
  ] as [string[], ...string[]][]
) test(`parse() refuses ${args.join(" ")} and says what is wanted`, () => assertCannotUse(COMMAND, args, ...told));

test("helpOf() tells usage, every option with its default, and an example", () => {
  assertEquals(
    helpOf(COMMAND),
    `Bake bread.

Usage:
  deno run bread.ts [options] [LOAVES...]

Arguments:
  LOAVES            how many at a time

Options:
  -f, --flour NAME  what to bake with (default rye)
      --max_size N  how large a loaf may be
  -s, --salt        add salt
  -y, --yeast       add yeast
  -h, --help        print this text

Example:
  deno run bread.ts -f rye 2`,
  );
});

test("helpOf() breaks long texts below each other, and leaves tables as they are", () => {
  const words = Array.from({ length: 60 }, (_, i) => `word${i}`).join(" ");
  const text = helpOf(commandLine({
    about: words,
    command: "deno run x.ts",
    options: { kind: { value: "K", text: "which\n  one    1\n  other  2", reads: oneOf(["one"]), default: "one" } },
  }));
  for (const line of text.split("\n")) assertMatch(line, /^(.{0,79}[^ ])?$/);
  assertStringIncludes(text.replaceAll("\n", " "), words);
  assertStringIncludes(
    text,
    "      --kind K  which (default one)\n                  one    1\n                  other  2\n",
  );
});

const PROGRAMS = {
  ...{ arcfour, clusterFlags, clusterSha, clusterStart, control, copyFiles, deadlocks, demo },
  ...{ flagServer, flags, flags2, loadUrls, mixed, primes, sha },
  ...{ mandelbrot, thumbnails, sandbox, server, wordcount },
};

test("a letter means the same option in all programs, and an option has the same letter", () => {
  // Those of flags2.py in the book.
  const names: Record<string, string> = { h: "help", a: "all", e: "every", l: "limit", m: "max_req", s: "server" };
  names.v = "verbose";
  const letters = new Map(Object.entries(names).map(([letter, name]) => [name, letter as string | undefined]));
  for (const [program, { options = {} }] of Object.entries(PROGRAMS)) {
    for (const [name, { short }] of Object.entries(options as Record<string, Switch | Setting>)) {
      if (!letters.has(name)) letters.set(name, short);
      assertEquals(short, letters.get(name), `the letter of --${name} in ${program}`);
      if (short !== undefined) assertEquals(names[short] ??= name, name, `-${short} in ${program}`);
    }
  }
});

test("each default is a value that its option takes", () => {
  let count = 0;
  for (const [program, { options = {} }] of Object.entries(PROGRAMS)) {
    for (const [name, option] of Object.entries(options as Record<string, Switch | Setting>)) {
      if (!("default" in option) || option.default === undefined) continue;
      assertEquals(option.reads.read(option.default) === undefined, false, `--${name} of ${program}`);
      count++;
    }
  }
  assertEquals(count > 10, true);
});
