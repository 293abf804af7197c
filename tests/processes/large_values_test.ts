/** Large values of a `ProcessPoolExecutor`: whose memory is used again, and when it is free. */
import { assert, assertEquals, assertLess, fail } from "@std/assert";
import { ProcessPoolExecutor } from "@concurrent/futures";
import { giveBack, takeSpare } from "../../executors/_values/_spare.ts";
import { Encoded, EncodedSections, Encoding } from "../../executors/_values/encoded.ts";
import { Batching, type EncodedTask } from "../../executors/processes/_batching.ts";
import { Child, type ChildOwner } from "../../executors/processes/_child.ts";
import type { Launch } from "../../executors/processes/_launch.ts";
import { Output } from "../../executors/processes/_output.ts";
import { VERSION } from "../../executors/processes/messages.ts";
import { MAIN, READER } from "../../executors/processes/packets.ts";
import { sleep, test, within } from "../_helpers.ts";
import { memoryInUse } from "../fixtures/process_tasks.ts";
import { echo, echoLater } from "../fixtures/tasks.ts";

const MEBIBYTE = 2 ** 20;

/** A text that is like no other one, at its beginning and its end, and in each of its pages. */
function textOf(number: number, length: number): string {
  return `${number},`.padEnd(4_001, "abcdefg").repeat(Math.ceil(length / 4_001)).slice(0, length) + number;
}

test("large texts of many sizes come back as they were, one after the other and at once", async () => {
  const pool = new ProcessPoolExecutor(2);
  const sizes = [2 * MEBIBYTE, 1_500_000, MEBIBYTE, MEBIBYTE + 1, 700_000, 140_000, 100, 600_000, 3 * MEBIBYTE];
  const values = sizes.map((size, i) => textOf(i, size));
  for (const value of values) assert(pool.submit(echo<string>, value).result() === value, `${value.length} alone`);
  for (let round = 0; round < 3; round++) {
    const futures = values.map((value) => pool.submit(echo<string>, value));
    for (const [i, future] of futures.entries()) assert(await within(future) === values[i], `${values[i].length}`);
  }
  // What is no ASCII, what is JSON, and bytes behind a large text.
  for (
    const value of [`${values[2]}é漢😀`, [values[3]], { text: values[4], bytes: new Uint8Array(MEBIBYTE).fill(3) }]
  ) {
    const [first, second] = [pool.submit(echo<unknown>, value), pool.submit(echo<unknown>, values[0])];
    assertEquals(await within(first), value);
    assert(await within(second) === values[0]);
  }
  await within(pool.shutdown());
});

test("large texts keep what they are where results arrive at once, or one while the other one waits", async () => {
  const pool = new ProcessPoolExecutor(2);
  const values = Array.from({ length: 4 }, (_, i) => textOf(i, MEBIBYTE));
  for (let round = 0; round < 15; round++) {
    const last = round === 14 ? 60 : 0;
    const futures = values.map((value, i) => pool.submit(echoLater<string>, value, i % 2 === 0 ? last : 0));
    for (const [i, future] of futures.entries()) assert(await within(future) === values[i], `${i} in round ${round}`);
  }
  await within(pool.shutdown());
});

test("a process frees the texts that tasks were given and returned before it collects all garbage", async () => {
  // Else it might collect all at any time.
  const env = { DENO_V8_FLAGS: "--expose-gc,--initial-old-space-size=500" };
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, env });
  // Until the process can tell the errors of one task from those of another one.
  for (let i = 0; i < 3; i++) pool.submit(memoryInUse, "major").result();
  await sleep(100);
  // In MiB. What is in use while a part is collected stays until all is: some three texts of each chunk.
  const trips: [what: string, most: number, trip: (text: string) => unknown][] = [
    ["of tasks", 6, (text) => pool.submit(echo<string>, text).result()],
    ["of a map", 42, (text) => [...pool.map(echo<string>, [text, text + 1, text + 2], { chunksize: 3 })]],
  ];
  for (const [what, most, trip] of trips) {
    const before = pool.submit(memoryInUse, "major").result();
    for (let i = 0; i < 12; i++) trip("x".repeat(MEBIBYTE));
    const more = (pool.submit(memoryInUse, "minor").result() - before) / MEBIBYTE;
    assertLess(more, most, what);
  }
  await within(pool.shutdown());
});

// ---- children that lie --------------------------------------------------------------------------------------------

/**
 * What runs in place of a child. It answers tasks when it has read them. If it is to lie it reads only what is said of
 * them, and then answers the first one, or says that it has begun none.
 */
const STAND_IN = `
  const [lie, version] = Deno.args;
  const decoder = new TextDecoder("latin1");
  const chunk = new Uint8Array(1 << 16);
  let input = "";
  function read() {
    const count = Deno.stdin.readSync(chunk);
    if (count === null) Deno.exit();
    input += decoder.decode(chunk.subarray(0, count));
  }
  function find(pattern) {
    for (let found; ; read()) if (found = input.match(pattern)) return found;
  }
  const [, token] = find(/"token":"(\\w+)"/);
  function say(stream, ...header) {
    const message = "\\x1e" + JSON.stringify([...header, []]) + "\\n";
    const packet = "\\x1e" + JSON.stringify([token, stream, message.length]) + "\\n" + message + "\\n";
    Deno.stdout.writeSync(new TextEncoder().encode(packet));
  }
  say(${MAIN}, "ready", Number(version));
  for (;;) {
    const { 0: line, index } = find(/\\x1e\\["tasks",.*\\n/);
    input = input.slice(index + line.length);
    const [, id, , , [length]] = JSON.parse(line.slice(1));
    if (lie === "none") {
      while (input.length < length) read();
      input = "";
    }
    if (lie === "begun none") say(${READER}, "recalled", id, id + TASKS - 1);
    else say(${MAIN}, "results", id, [[0, 0, 0, 0]]);
    if (lie !== "none") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }`;

const TEXT_BYTES = MEBIBYTE;
const TASKS = 5;

/** A task with a large text. */
function taskWithText(): EncodedTask {
  const payload = EncodedSections.from(new Encoded(Encoding.TEXT, "x".repeat(TEXT_BYTES)));
  return { slot: 0, fn: 0, flags: 0, payload };
}

/** Whether the memory of such a task was given back to be used again; it is taken. */
function isGivenBack(): boolean {
  return takeSpare(TEXT_BYTES) !== undefined;
}

/** A child with a process that stands in for it, and what its broker hears. */
class StandIn implements AsyncDisposable {
  readonly child: Child;
  readonly #idle = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<unknown>();
  #answered = Promise.withResolvers<void>();
  #recalled = Promise.withResolvers<readonly EncodedTask[]>();

  constructor(lie: "none" | "answered" | "begun none") {
    const program = STAND_IN.replace("TASKS", String(TASKS));
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", `data:application/javascript,${encodeURIComponent(program)}`, lie, String(VERSION)],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const owner: ChildOwner = {
      definition: () => ({ url: "file:///a.ts", path: ["a"] }) as unknown as ReturnType<ChildOwner["definition"]>,
      boundTo: () => undefined,
      limitsOf: () => fail("unreachable: no task has a limit"),
      onReady: () => {},
      onWrongVersion: () => fail("unreachable"),
      onInitializerFailed: () => fail("unreachable"),
      onProgress: () => {},
      onResults: () => this.#answered.resolve(),
      onRecalled: (_, tasks) => this.#recalled.resolve(tasks),
      onIdle: () => this.#idle.resolve(),
      onIdleEnd: () => {},
      onExit: (_, exit) => this.#ended.resolve(exit),
    };
    this.child = new Child(
      0,
      lie,
      [],
      {
        launch: {} as Launch,
        initializer: undefined,
        maxTasksPerChild: Infinity,
        maxMemoryPerChild: undefined,
        replaces: false,
      },
      { stdout: new Output(Deno.stdout), stderr: new Output(Deno.stderr) },
      new Batching(),
      owner,
      undefined,
      process.spawn(),
    );
  }

  /** Waits until it is ready. */
  async ready(): Promise<void> {
    await within(this.#idle.promise);
  }

  /** Runs a task, and waits for the answer. */
  async run(task: EncodedTask): Promise<void> {
    this.#answered = Promise.withResolvers();
    this.child.run([task]);
    await within(this.#answered.promise);
  }

  /** Is given tasks that are recalled at once; those that it gives back. */
  async recall(tasks: readonly EncodedTask[]): Promise<readonly EncodedTask[]> {
    this.child.run(tasks);
    this.child.recallPrefetched();
    return await within(this.#recalled.promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await within(this.#ended.promise);
  }
}

test("the memory of a task is not used again while a process that has answered it has not read it", async () => {
  await using liar = new StandIn("answered");
  await liar.ready();
  giveBack(new ArrayBuffer(2 ** 17));
  await liar.run(taskWithText());
  assert(!isGivenBack(), "it is being written");
});

test("the memory of a task is not used again while a process that has given it back has not read it", async () => {
  await using liar = new StandIn("begun none");
  await using other = new StandIn("none");
  await Promise.all([liar.ready(), other.ready()]);
  giveBack(new ArrayBuffer(2 ** 17));
  const recalled = await liar.recall(Array.from({ length: TASKS }, taskWithText));
  assertEquals(recalled.length, TASKS);
  for (const [i, task] of recalled.entries()) {
    await other.run(task);
    assert(!isGivenBack(), `task ${i} is being written`);
  }
  // That of another task is; but an answer may be there before it is known that all was written.
  for (let round = 0;; round++) {
    await other.run(taskWithText());
    if (isGivenBack()) break;
    assert(round < 100, "the memory of a task that has been read is used again");
  }
});
