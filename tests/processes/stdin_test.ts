/** {@linkcode ProcessPoolExecutor}: the standard input is the program's, and tasks that read it fail. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor } from "@concurrent/futures";
import { UNREADABLE_CODE } from "../../executors/processes/messages.ts";
import { ChildProcess } from "../../executors/processes/_child_process.ts";
import { Output } from "../../executors/processes/_output.ts";
import { bothFail, BOUND, Ledger, test, until, within } from "../_helpers.ts";
import { denoThrough } from "../_projects.ts";
import { Running } from "../_start.ts";
import { keepReplaced, lend } from "./_replacing.ts";
import { record } from "../fixtures/tasks.ts";
import { pauseFor, pid, pidWith, readStdinAs, readStdinLater, type StdinReader } from "../fixtures/process_tasks.ts";

const replacing = lend({ maxWorkers: 1, onWorkerCrash: "replace" });

const READERS = [
  ["Deno.stdin and prompts", "readStdin", {
    readSync: null,
    read: null,
    readable: 0,
    again: 0,
    prompt: null,
    confirm: false,
    terminal: false,
  }],
  ["a Deno.Command", "catStdin", { inherit: "", byDefault: "", outputSync: "", output: "" }],
  ["Deno.spawn()", "catStdinShort", { spawn: "", spawnAndWait: "", spawnAndWaitSync: "" }],
  ["node:process", "readStdinByNode", { stdin: 0 }],
] as const;

interface Read {
  seen: { [way: string]: unknown };
  own: string;
  after: number;
}
let read: Promise<Read> | undefined;

/** What tasks of one program read in all these ways, and it itself then. */
async function readAll(): Promise<Read> {
  await using program = new Running("child_stdin.ts", READERS.map(([, way]) => way));
  await program.input("the program's\nown input\n");
  const line = await within(program.line(), "all ways", READERS.length * BOUND) ?? await program.stderr;
  assertEquals((await within(program.child.status)).code, 0, line);
  assertEquals(await program.stderr, "");
  return JSON.parse(line);
}

for (const [what, way, seen] of READERS) {
  test(`ProcessPoolExecutor: the standard input is empty for ${what} in a task, not for the program`, async () => {
    const all = await (read ??= readAll());
    assertEquals([all.seen[way], all.own, all.after], [seen, "the program's\nown input\n", 1]);
  }, { bound: 60_000 });
}

test("ProcessPoolExecutor: the files that stand for the standard input are empty for a task", async () => {
  const pool = replacing();
  for (const way of ["openSync", "open", "readFileSync", "readFile", "readTextFileSync", "readTextFile"] as const) {
    for (const path of ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "file:///dev/stdin"]) {
      assertEquals(await within(pool.submit(readStdinAs, way, path)), 0, `${way} ${path}`);
    }
  }
}, { linuxOnly: true });

for (
  const way of ["fs.readFileSync", "fs.readSync", "fs.read", "fs.createReadStream", "a program", "a worker"] as const
) {
  test(
    `ProcessPoolExecutor: a task that reads its input by ${way} fails, nothing waits for it`,
    () => failsAlone(way, "/dev/stdin"),
    { linuxOnly: true },
  );
}

async function failsAlone(way: StdinReader, path: string): Promise<void> {
  // At the same time, as it takes a while until that is noticed.
  const modes = ["break", "replace"] as const;
  const breaking = new ProcessPoolExecutor(1);
  const pools = [breaking, replacing()];
  await using ending = new AsyncDisposableStack();
  ending.defer(() => within(breaking.shutdown()));
  ending.defer(() => breaking.killWorkers());
  const before = await within(Promise.all(pools.map((pool) => pool.submit(pid))));
  const thieves = pools.map((pool) => pool.submit(readStdinAs, way, path));
  const behind = pools.map((pool) => pool.submit(pid));
  for (const [i, mode] of modes.entries()) {
    await bothFail(thieves[i], (error) => {
      assertInstanceOf(error, BrokenProcessPool, mode);
      assertEquals(error.pid, before[i], mode);
      assertStringIncludes(error.message, "read the standard input", mode);
    });
  }
  await bothFail(behind[0], (error) => assertInstanceOf(error, BrokenProcessPool));
  assert(await within(behind[1]) !== before[1]);
  await keepReplaced();
}

/**
 * A child of which the message `recall` never arrives, as where a task has read it. If it shall, it ends as one does
 * that cannot read the next message.
 */
const robbedDeno = (ends: boolean) => `
  const [, deno, ...args] = Deno.args;
  const child = new Deno.Command(deno, { args, stdin: "piped", stdout: "inherit", stderr: "inherit" }).spawn();
  const input = child.stdin.getWriter();
  for await (const bytes of Deno.stdin.readable) {
    const text = new TextDecoder("latin1").decode(bytes);
    const robbed = text.replace(/\\x1e\\["recall",.*\\n/, "");
    if (${ends} && text.includes('\\x1e["probe",')) {
      child.kill("SIGKILL");
      Deno.exit(${UNREADABLE_CODE});
    }
    await input.write(Uint8Array.from(robbed, (char) => char.charCodeAt(0)));
  }
  await input.close();`;

test("ProcessPoolExecutor: a task that closes its standard input does not end its process", async () => {
  using pool = new ProcessPoolExecutor(1);
  // The main thread of a process reads the input while it is idle, and is the only one that does before a second task.
  for (let i = 0; i < 3; i++) {
    const process = await within(pool.submit(() => {
      Deno.stdin.close();
      return Deno.pid;
    }));
    assertEquals(await within(pool.submit(pid)), process);
  }
});

for (const ends of [false, true]) {
  test(
    `ProcessPoolExecutor: a result does not count while it is not clear who has read what was sent${
      ends ? ", also at the end of its process" : ""
    }`,
    async () => {
      const folder = denoThrough(robbedDeno(ends));
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno: `${folder}/deno` });
      // Longer than it takes until it is recalled, as nobody knows whether it has begun.
      await bothFail(pool.submit(pauseFor, 100), (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertStringIncludes(error.message, "read the standard input");
      });
    },
    { linuxOnly: true },
  );
}

/**
 * A child that gets its tasks late where there is the file `late`, so that they are recalled, and never that message.
 * It says that it has begun a task, and nobody hears that before the pool finds out who has read its input.
 */
const LATE_DENO = `
  const [folder, deno, ...args] = Deno.args;
  const child = new Deno.Command(deno, { args, stdin: "piped", stdout: "inherit", stderr: "inherit" }).spawn();
  const input = child.stdin.getWriter();
  const isLate = () => Array.from(Deno.readDirSync(folder)).some(({ name }) => name === "late");
  for await (const bytes of Deno.stdin.readable) {
    const text = new TextDecoder("latin1").decode(bytes);
    if (text.includes('\\x1e["tasks",') && isLate()) await new Promise((resolve) => setTimeout(resolve, 300));
    const robbed = isLate() ? text.replace(/\\x1e\\["recall",.*\\n/, "") : text;
    await input.write(Uint8Array.from(robbed, (char) => char.charCodeAt(0)));
  }
  await input.close();`;

test(
  "ProcessPoolExecutor {replace}: a task does not run twice whose process has said that it has begun, unheard",
  async () => {
    const folder = denoThrough(LATE_DENO);
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace", deno: `${folder}/deno` });
    // The second one has a thread start, without which nothing is recalled.
    for (let i = 0; i < 2; i++) await within(pool.submit(pid));
    const ledger = new Ledger();
    Deno.writeTextFileSync(`${folder}/late`, "");
    await bothFail(pool.submit(record<number>, ledger.path, 1), (error) => {
      assertInstanceOf(error, BrokenProcessPool);
      assertStringIncludes(error.message, "read the standard input");
    });
    assertEquals(ledger.numbers(), [1]);
    Deno.removeSync(`${folder}/late`);
    assertEquals(await within(pool.submit(record<number>, ledger.path, 2)), 2);
  },
  { linuxOnly: true },
);

test("ChildProcess.probe(): the broker goes on to ask a child of which somebody else reads all input", async () => {
  const ended = Promise.withResolvers<void>();
  const outputs = { stdout: new Output(Deno.stdout), stderr: new Output(Deno.stderr) };
  const listener = { onMessage: () => {}, onExit: () => ended.resolve() };
  const cat = new Deno.Command("sh", {
    args: ["-c", "exec cat >/dev/null"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = new ChildProcess(cat.spawn(), outputs, listener);
  try {
    for (let i = 0; i < 24; i++) {
      child.probe();
      await until(() => child.written === undefined, "the probe is written");
    }
  } finally {
    child.kill("SIGKILL");
    await within(ended.promise);
  }
}, { linuxOnly: true });

test(
  "ProcessPoolExecutor {replace}: a task is run by another process when one before it has left a reader behind",
  async () => {
    // The reader takes one of the next messages, whole or in part.
    const cases = [["", 10], ["", 1 << 16], ["x".repeat(300_000), 1 << 16]] as const;
    await Promise.all(cases.map(async ([argument, length]) => {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
      const before = await within(pool.submit(pid));
      await within(pool.submit(readStdinLater, length));
      const replaced = async () => {
        for (let now = before; now === before;) {
          const outcome: unknown = await pool.submit(pidWith, argument).catch((error) => error);
          if (outcome instanceof Error) assertStringIncludes(outcome.message, "read the standard input");
          else now = outcome as number;
        }
      };
      await within(replaced(), "another process");
    }));
  },
  { linuxOnly: true },
);

test("ProcessPoolExecutor: a task that computes for long keeps its process, whatever is sent meanwhile", async () => {
  const pool = replacing();
  const before = await within(pool.submit(pid));
  const slow = pool.submit(pauseFor, 2_000);
  const large = pool.submit(pidWith, "x".repeat(3_000_000));
  assertEquals([await within(slow), await within(large)], [before, before]);
});
