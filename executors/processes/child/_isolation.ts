/**
 * What keeps tasks away from the pipes that their process needs for its protocol.
 *
 * @module
 */

import { Atomics } from "../../../futures/builtins.ts";

/**
 * Gives tasks an empty standard input, a standard output that they cannot close, and no say in what a Ctrl-C ends.
 *
 * @param flush Called before a task sends a signal, perhaps to its own process.
 * @returns What writes to the standard output whatever a task does to it.
 */
export function isolate(flush: () => void): (bytes: Uint8Array) => void {
  const write = writerOfStdout();
  hideStdin();
  keepStdout(write);
  flushBeforeSignals(flush);
  // A Ctrl-C goes to all processes of the terminal. What it ends is the parent's decision.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
  return write;
}

/** Writes to the standard output past whatever a task does to `Deno.stdout`. */
function writerOfStdout(): (bytes: Uint8Array) => void {
  const write = Deno.stdout.writeSync.bind(Deno.stdout);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  return (bytes) => {
    for (let at = 0; at < bytes.byteLength;) {
      try {
        at += write(at === 0 ? bytes : bytes.subarray(at));
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        // A program that shares the pipe has made it non-blocking, and it is full.
        Atomics.wait(pause, 0, 0, 1);
      }
    }
  };
}

/**
 * A task may close its standard output, as a stream that is piped to it does at its end; the protocol still needs it.
 */
function keepStdout(write: (bytes: Uint8Array) => void): void {
  let writable: WritableStream<Uint8Array> | undefined;
  Object.defineProperties(Deno.stdout, {
    close: { value: () => {} },
    writable: { get: () => writable ??= new WritableStream({ write: (bytes) => write(bytes) }) },
  });
}

/** A task that kills its own process takes nothing with it that has run before. */
function flushBeforeSignals(flush: () => void): void {
  change("kill", (kill: typeof Deno.kill): typeof Deno.kill => (pid, signal) => {
    flush();
    kill(pid, signal);
  });
}

/**
 * Changes a part of Deno when a task asks for it first: to look at some parts is enough to make Deno load them, which
 * takes milliseconds.
 */
function change<T>(name: string, changed: (original: T) => T): void {
  const descriptor = Object.getOwnPropertyDescriptor(Deno, name);
  if (descriptor === undefined) return;
  let current: { readonly value: unknown } | undefined;
  Object.defineProperty(Deno, name, {
    configurable: true,
    enumerable: true,
    get: () => (current ??= { value: changed(descriptor.get?.call(Deno) ?? descriptor.value) }).value,
    set: (value) => current = { value },
  });
}

/** The standard input is the protocol's: a task, or a program that it starts, finds it empty. */
function hideStdin(): void {
  Object.defineProperties(Deno.stdin, {
    close: { value: () => {} },
    read: { value: () => Promise.resolve(null) },
    readSync: { value: () => null },
    readable: { get: () => new Blob([]).stream() },
  });
  hideStdinFiles();
  const withoutStdin = <O extends { stdin?: unknown }>(options: O | undefined): O => {
    const { stdin = "null" } = options ?? {};
    return { ...options, stdin: stdin === "inherit" ? "null" : stdin } as O;
  };
  change("Command", (Command: typeof Deno.Command) =>
    class extends Command {
      constructor(command: string | URL, options?: Deno.CommandOptions) {
        super(command, withoutStdin(options));
      }
    });
  for (const name of ["spawn", "spawnAndWait", "spawnAndWaitSync"]) {
    // Called with the arguments of the program, or without.
    change(name, (spawn: (...args: unknown[]) => unknown) => (command: unknown, ...rest: unknown[]) => {
      const args = Array.isArray(rest[0]) ? [rest.shift()] : [];
      return spawn(command, ...args, withoutStdin(rest[0] as { stdin?: unknown }));
    });
  }
}

/** The files that stand for the standard input of this process. */
const STDIN_FILES = /^\/(dev\/(stdin|fd\/0)|proc\/(self|thread-self|\d+)\/fd\/0)$/;

/** The same for the names that it has as a file. */
function hideStdinFiles(): void {
  if (Deno.build.os === "windows") return;
  const names = ["open", "openSync", "readFile", "readFileSync", "readTextFile", "readTextFileSync"] as const;
  const deno = Deno as unknown as { [name: string]: (...args: unknown[]) => unknown };
  for (const name of names) {
    const open = deno[name];
    deno[name] = (path, ...rest) => {
      const text = path instanceof URL && path.protocol === "file:" ? path.pathname : path;
      return open(typeof text === "string" && STDIN_FILES.test(text) ? "/dev/null" : path, ...rest);
    };
  }
}
