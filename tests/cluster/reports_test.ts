/** What tasks report of their progress, where the server is slow. */
import { assertEquals } from "@std/assert";
import { Reports } from "../../executors/cluster/_reports.ts";
import { test } from "../_helpers.ts";

test("cluster: of what a task reports the newest wins where the server is slow, before its result", async () => {
  const sent: number[] = [];
  const answers: (() => void)[] = [];
  const reports = new Reports<number>((value) => {
    sent.push(value);
    return new Promise((resolve, reject) => answers.push(value === 1 ? reject : resolve as () => void));
  }, 2);
  for (let i = 1; i <= 5; i++) reports.say(i);
  assertEquals(sent, [1, 2]);
  answers.shift()!();
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(sent, [1, 2, 5], "the newest");
  reports.say(6);
  reports.say(7);
  assertEquals(sent, [1, 2, 5]);
  reports.end();
  assertEquals(sent, [1, 2, 5, 7]);
  for (const answer of answers) answer();
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(sent.length, 4);
});
