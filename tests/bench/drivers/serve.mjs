/**
 * The line protocol between the runner and a contestant that is written in JavaScript.
 *
 * A request is a line of JSON on stdin: `{"open": {work, group, params}}`, `{"run": true}`, `{"close": true}`. The
 * answer is a line on stdout, `= ` and JSON: `{"ok": …}`, `{"cannot": reason}` where the contestant has no such thing,
 * or `{"error": text}`. Other lines are output of libraries and mean nothing. The end of stdin ends the contestant.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { Cannot, openWork } from "./works.mjs";

/**
 * Serves the runner until stdin ends.
 *
 * @param {import("./works.mjs").Contestant} contestant What makes pools.
 */
export async function serve(contestant) {
  /** @type {import("./works.mjs").Opened | undefined} */
  let opened;
  const handle = async (request) => {
    if (request.open) {
      opened = await openWork(contestant, request.open);
      return null;
    }
    if (request.run) return await opened.run();
    await opened?.close();
    opened = undefined;
    return null;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = { ok: await handle(JSON.parse(line)) };
    } catch (error) {
      answer = error instanceof Cannot ? { cannot: error.message } : { error: `${error?.stack ?? error}` };
    }
    process.stdout.write(`= ${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}
