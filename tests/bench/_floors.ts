/**
 * What nothing that is built upon them can beat: a bare worker, a word of shared memory, pipes to `cat` and to a child.
 *
 * @module
 */

/** Starts a worker whose module is this text. */
export function startModule(source: string): Worker {
  return new Worker(`data:application/javascript,${encodeURIComponent(source)}`, { type: "module" });
}

/** A worker that answers each message with the same message, moved back if it was moved there. */
export class EchoWorker {
  readonly #worker = startModule(`onmessage = ({ data }) => {
    if (data?.moved === undefined) postMessage(data);
    else postMessage(data, [data.moved.buffer ?? data.moved]);
  }`);

  /** Sends a value and waits for the answer. */
  send(value: unknown, moved: Transferable[] = []): Promise<unknown> {
    return new Promise((resolve) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.postMessage(value, moved);
    });
  }

  /** Sends values and then waits for all answers. */
  sendAll(values: readonly unknown[]): Promise<unknown[]> {
    return new Promise((resolve) => {
      const answers: unknown[] = [];
      this.#worker.onmessage = ({ data }) => {
        if (answers.push(data) === values.length) resolve(answers);
      };
      for (const value of values) this.#worker.postMessage(value);
    });
  }

  close(): void {
    this.#worker.terminate();
  }
}

/** A worker that does the tasks of the benchmark, and nothing around them. */
export class TaskWorker {
  readonly #worker = startModule(`import * as tasks from ${JSON.stringify(import.meta.resolve("./drivers/tasks.mjs"))};
    onmessage = ({ data: [task, value] }) => postMessage(tasks[task](value));`);
  #last: Promise<unknown> = Promise.resolve();

  /** Runs a task when those before it are done. */
  run(task: string, value: unknown): Promise<unknown> {
    const result = this.#last.then(() =>
      new Promise((resolve) => {
        this.#worker.onmessage = ({ data }) => resolve(data);
        this.#worker.postMessage([task, value]);
      })
    );
    this.#last = result;
    return result;
  }

  close(): void {
    this.#worker.terminate();
  }
}

/**
 * A worker that answers in a word of shared memory, for which both sides spin; it rests between {@linkcode end} and
 * {@linkcode begin}.
 */
export class SpinWorker {
  readonly #words = new Int32Array(new SharedArrayBuffer(192));
  readonly #worker = startModule(`onmessage = async ({ data: words }) => {
    for (;;) {
      await Atomics.waitAsync(words, 32, 0).value;
      for (let seen = Atomics.load(words, 16); Atomics.load(words, 32) === 1;) {
        const asked = Atomics.load(words, 0);
        if (asked !== seen) Atomics.store(words, 16, seen = asked);
      }
    }
  }`);

  constructor() {
    this.#worker.postMessage(this.#words);
  }

  /** Makes the worker spin, and resolves when it does. */
  async begin(): Promise<void> {
    Atomics.store(this.#words, 32, 1);
    Atomics.notify(this.#words, 32);
    const asked = Atomics.add(this.#words, 0, 1) + 1;
    while (Atomics.load(this.#words, 16) !== asked) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** A round trip. */
  ask(): void {
    const asked = Atomics.add(this.#words, 0, 1) + 1;
    while (Atomics.load(this.#words, 16) !== asked);
  }

  end(): void {
    Atomics.store(this.#words, 32, 0);
  }

  close(): void {
    this.#worker.terminate();
  }
}

/** A program that answers on stdout what it reads from stdin. */
export class Pipe {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

  constructor(command: string, args: string[] = []) {
    this.#process = new Deno.Command(command, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.getReader();
  }

  /** Sends bytes, and resolves when as many have come back. */
  async send(bytes: Uint8Array<ArrayBuffer>, use?: (chunk: Uint8Array) => void): Promise<void> {
    const written = this.#writer.write(bytes);
    for (let received = 0; received < bytes.length;) {
      const { value } = await this.#reader.read();
      if (value === undefined) throw new Error("The program ended");
      received += value.length;
      use?.(value);
    }
    await written;
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#process.status;
  }
}

/**
 * One child alone: a Deno that reads lines of JSON with `readSync`, parses each, and answers all it has read at once.
 */
export function startChild(): Pipe {
  const script = new URL("./drivers/floor_child.ts", import.meta.url);
  return new Pipe(Deno.execPath(), ["run", "--no-config", "--no-lock", "--quiet", script.href]);
}
