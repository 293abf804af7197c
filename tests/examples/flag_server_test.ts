/**
 * `examples/flag_server.ts` as a user runs it: a child process, and requests to it.
 *
 * @module
 */

import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertNotEquals } from "@std/assert";
import * as flags from "country-flag-icons/string/3x2";
import { COUNTRIES } from "../../examples/_flags_common.ts";
import { COMMAND } from "../../examples/flag_server.ts";
import { assertAsOnPage, assertCannotUse, runExample } from "./_run.ts";
import { Server } from "./_server.ts";

/** What a server answers for each country: the status, or that the connection broke off. */
async function outcomesOf(server: Server, codes: string[]): Promise<Map<string, number | "broken">> {
  const outcomes = await Promise.all(codes.map((cc) => outcomeOf(server, cc)));
  return new Map(codes.map((cc, i) => [cc, outcomes[i]]));
}

async function outcomeOf(server: Server, cc: string): Promise<number | "broken"> {
  try {
    const response = await fetch(`${server.url}/${cc.toLowerCase()}.svg`);
    const text = await response.text();
    if (response.ok) assertEquals(text, flags[cc as keyof typeof flags], `the flag of ${cc}`);
    return response.status;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return "broken";
  }
}

Deno.test("flag_server.ts serves 194 flags, and no other ones", async () => {
  await using server = await Server.start("--port", "0");
  assertMatch(
    server.line,
    /^LOCAL site: http:\/\/127\.0\.0\.1:\d+\/flags \(delay 0-0 ms, error rate 0, seed 1\).*Ctrl-C.*\n$/,
  );
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const every = letters.flatMap((first) => letters.map((second) => first + second));
  const found = [...await outcomesOf(server, every)].filter(([, outcome]) => outcome === 200).map(([cc]) => cc);
  assertEquals(found, COUNTRIES);
  assertEquals([found.length, found[0], found.at(-1)], [194, "AD", "ZW"]);

  for (
    const path of ["/", "/flags", "/cn.svg", "/flags/CN.svg", "/flags/chn.svg", "/flags/cn.gif", "/flags/../cn.svg"]
  ) {
    const response = await fetch(server.url.replace("/flags", path));
    assertEquals([path, response.status], [path, 404]);
    await response.body?.cancel();
  }
  const response = await fetch(`${server.url}/cn.svg`);
  assertEquals(response.headers.get("content-type"), "image/svg+xml");
  await response.body?.cancel();
});

for (
  const [label, told] of [
    ["LOCAL", "delay 0-0 ms, error rate 0, seed 1"],
    ["DELAY", "delay 250-750 ms, error rate 0, seed 1"],
    ["error", "delay 0-500 ms, error rate 0.25, seed 1"],
  ]
) {
  Deno.test(`flag_server.ts -s ${label} has the delay and the error rate of the label`, async () => {
    await using server = await Server.start("-s", label, "-p", "0");
    assert(server.line.startsWith(`${label.toUpperCase()} site: `) && server.line.includes(`(${told})`), server.line);
    if (label === "error") assertAsOnPage("flag_server.ts", server.line);
    const codes = COUNTRIES.slice(0, 100);
    const start = performance.now();
    const outcomes = [...(await outcomesOf(server, codes)).values()];
    const failed = outcomes.filter((outcome) => outcome !== 200).length;
    if (label === "error") assert(failed > 10 && failed < 40, `${failed} of 100 failed`);
    else assertEquals(failed, 0);
    if (label === "DELAY") assertGreaterOrEqual(performance.now() - start, 250);
  });
}

Deno.test("flag_server.ts -d holds back each answer, by more than the least and less than the most", async () => {
  await using server = await Server.start("-p", "0", "-d", "100-300");
  await outcomeOf(server, "CN"); // the first connection takes longer
  const times = await Promise.all(
    COUNTRIES.slice(0, 50).map(async (cc) => {
      const start = performance.now();
      await outcomeOf(server, cc);
      return performance.now() - start;
    }),
  );
  assertGreaterOrEqual(Math.min(...times), 99);
  assertGreaterOrEqual(Math.max(...times) - Math.min(...times), 100);
});

Deno.test("flag_server.ts -r 1 fails for each country, in five ways", async () => {
  await using server = await Server.start("-p", "0", "-r", "1");
  const outcomes = [...(await outcomesOf(server, ["XX", ...COUNTRIES])).values()];
  assertEquals(new Set(outcomes), new Set([500, 502, 503, 504, "broken"]));
});

Deno.test("flag_server.ts --seed decides what fails, in whatever order and however often it is asked", async () => {
  const args = ["-p", "0", "--error-rate", ".5", "--delay", "0-20", "--seed"];
  await using first = await Server.start(...args, "7");
  await using second = await Server.start(...args, "7");
  await using other = await Server.start(...args, "8");
  const outcomes = await outcomesOf(first, COUNTRIES);
  const failed = [...outcomes.values()].filter((outcome) => outcome !== 200).length;
  assert(failed > 60 && failed < 130, `${failed} of 194 failed`);
  assertEquals(await outcomesOf(first, COUNTRIES.toReversed()), new Map([...outcomes].reverse()));
  for (const cc of COUNTRIES.toReversed()) assertEquals(await outcomeOf(second, cc), outcomes.get(cc), cc);
  assertNotEquals(await outcomesOf(other, COUNTRIES), outcomes);
});

Deno.test("flag_server.ts tells at /flags/ who it is and how it behaves", async () => {
  await using server = await Server.start("-s", "ERROR", "-p", "0", "-d", "1-2", "-r", "1", "--seed", "9");
  const { server: name, delay, errorRate, seed } = await (await fetch(`${server.url}/`)).json();
  assertEquals([name, delay, errorRate, seed], ["flag_server", [1, 2], 1, 9]);
});

Deno.test("flag_server.ts at a port that is taken fails with one line that names it, and exit code 1", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = `${(listener.addr as Deno.NetAddr).port}`;
  const { code, stdout, stderr } = await runExample("flag_server.ts", ["--port", port]);
  assertMatch(stderr, new RegExp(`^Cannot serve at port ${port}: .+\\n$`));
  assertEquals([code, stdout], [1, ""]);
});

const BAD_OPTIONS: [args: string[], ...told: string[]][] = [
  [["-s", "REMOTE"], "--server", '"REMOTE"', "LOCAL, DELAY, ERROR"],
  [["-s", "toString"], '"toString"'],
  [["-p", "http"], "--port", '"http"', "whole number", "65535"],
  [["-p", "65536"], '"65536"'],
  [["-p", "-1"], '"-1"'],
  [["--port", "-1"], '"-1"'],
  [["-p"], "--port", "value"],
  [["-d", "500"], "--delay", '"500"', "MIN-MAX"],
  [["-d", "500-250"], '"500-250"'],
  [["-d", "0-99999"], '"0-99999"', "60000"],
  [["-d", "-5-5"], '"-5-5"'],
  [["-r", "2"], "--error-rate", '"2"', "from 0 to 1"],
  [["-r", "25%"], '"25%"'],
  [["-r", "-0.5"], '"-0.5"'],
  [["-r", ""], '""'],
  [["--seed", "x"], "--seed", '"x"'],
  [["--fast"], "--fast"],
  [["-x"], "-x"],
  [["--help=no"], "--help=no"],
  [["8001"], "8001"],
];

for (const [args, ...told] of BAD_OPTIONS) {
  Deno.test(`flag_server.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
