/** What README.md promises besides the blocks that `pages_test.ts` runs: its size, and programs that wait. */
import { assert, assertEquals } from "@std/assert";
import { test, within } from "./_helpers.ts";
import { blockOf, ENTRY, project } from "./_projects.ts";

const README = Deno.readTextFileSync(new URL("../README.md", import.meta.url));

test("README.md is read in some minutes: it has 900 to 1,100 words", () => {
  const words = README.split(/\s+/).filter((word) => word !== "").length;
  assert(900 <= words && words <= 1_100, `${words}`);
});

/** Starts a program of the page, beside a module with its tasks. */
function start(main: string, tasks: string, env: Record<string, string> = {}): Deno.ChildProcess {
  const folder = project({
    "deno.json": JSON.stringify({ imports: { "@concurrent/futures": ENTRY } }),
    "main.ts": main,
    "tasks.ts": tasks,
  });
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", "main.ts"],
    cwd: folder,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Reads a stream to its end, and calls `watch` with all of its text so far each time that more comes. */
async function read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, watch: (text: string) => void): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) watch(text += part);
  return text;
}

/** Starts a server of the page, and calls `fn` with its address. */
async function withServer(main: string, tasks: string, fn: (url: string) => Promise<void>): Promise<void> {
  await using server = start(main, tasks, { DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0" });
  const address = Promise.withResolvers<string>();
  const said = Promise.all([server.stdout, server.stderr].map((stream) =>
    read(stream, (text) => {
      const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(text)?.[0];
      if (url !== undefined) address.resolve(url);
    })
  ));
  said.then((texts) => address.reject(new Error(`It ended, and said: ${texts.join("\n")}`)));
  try {
    await fn(await within(address.promise, "the server's address"));
  } finally {
    server.kill();
    await said;
  }
}

const SERVER = blockOf(README, "Deno.serve(");

/** What a server answers: the status and the text. */
async function ask(url: string, body: string): Promise<string> {
  const response = await fetch(url, { method: "POST", body });
  return `${response.status} ${await response.text()}`;
}

test("README.md's server answers with what threads have made", async () => {
  const render = 'export const render = (text: string) => `${text} by ${self.name.replace(/\\d+/g, "n")}`;';
  await withServer(SERVER, render, async (url) => {
    assertEquals(await within(Promise.all([ask(url, "one"), ask(url, "two")]), "its answers"), [
      "200 one by ThreadPoolExecutor-n_n",
      "200 two by ThreadPoolExecutor-n_n",
    ]);
  });
});

test("README.md's server answers 503 when more requests wait than it says, and 500 when a task throws", async () => {
  const few = SERVER.replace("maxQueued: 100", "maxQueued: 2, maxWorkers: 1");
  assert(few !== SERVER);
  const render = `export const render = async (text: string) => {
    if (text === "throw") throw new Error("no");
    await new Promise((resolve) => setTimeout(resolve, 300));
    return text;
  };`;
  await withServer(few, render, async (url) => {
    assertEquals(await within(ask(url, "one"), "an answer"), "200 one");
    const answers = await within(Promise.all(Array.from({ length: 10 }, () => ask(url, "many"))), "its answers");
    const done = answers.filter((answer) => answer === "200 many").length;
    // One runs and two wait, or more if the requests come slowly.
    assert(done >= 2 && done < 10, answers.join());
    assertEquals(answers.filter((answer) => answer === "503 ").length, 10 - done, answers.join());
    assertEquals(await within(ask(url, "throw"), "an answer"), "500 ");
  });
});

if (Deno.build.os !== "windows") {
  const CONVERT = `export const convert = (film: string) => {
    console.log(film + " begins");
    return new Promise<void>((resolve) => setTimeout(() => {
      console.log(film + " ends");
      resolve();
    }, Number(Deno.env.get("MS"))));
  };`;

  for (const presses of [0, 1, 2]) {
    test(`README.md's program for Ctrl-C, which is pressed ${presses} times`, async () => {
      const pressed = `Deno.addSignalListener("SIGINT", () => console.log("Ctrl-C"));\n`;
      await using program = start(
        blockOf(README, '"SIGINT"') + pressed,
        CONVERT,
        // Longer than a test may take, if the second Ctrl-C stops it.
        { MS: ["0", "3000", "1000000"][presses] },
      );
      let left = presses;
      const stdout = read(program.stdout, (text) => {
        // When two films have begun, and when the program has heard the one before.
        const heard = text.split("Ctrl-C").length - 1;
        if (left === 0 || text.split("begins").length < 3 || heard !== presses - left) return;
        left--;
        program.kill("SIGINT");
      });
      const stderr = read(program.stderr, () => {});
      const { signal } = await within(program.status, "its end");
      const lines = (await stdout).split("\n").filter((line) => line !== "Ctrl-C" && line !== "").sort();
      assertEquals([await stderr, signal, left], ["", null, 0]);
      const [a, b, c] = ["a", "b", "c"].map((film) => [`${film}.mov begins`, `${film}.mov ends`]);
      assertEquals(lines, [[...a, ...b, ...c], [...a, ...b], [a[0], b[0]]][presses]);
    });
  }
}
