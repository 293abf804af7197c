/** Tasks for what Python tests and tests/fixtures/tasks.ts has no task for. Importing this module does nothing. */
import { registerError } from "@concurrent/futures";

export function power(base: number, exponent: number): number {
  return base ** exponent;
}

/** Throws where the divisor is 0, as Python's does. */
export function divmod(a: bigint, b: bigint): [bigint, bigint] {
  return [a / b, a % b];
}

export function multiply(a: number, b: number): number {
  return a * b;
}

/** The process, or that of the program where the worker is a thread. */
export function processNumber(): number {
  return Deno.pid;
}

/** Says in a file that it has arrived, and is held until another file exists; without a path it returns at once. */
export function holdAt(gate: string | null): string | null {
  if (gate === null) return null;
  Deno.writeTextFileSync(`${gate}.arrived`, "x", { append: true });
  const end = performance.now() + 60_000;
  while (!exists(`${gate}.open`)) {
    if (performance.now() > end) throw new Error("The gate was never opened");
    sleep(1);
  }
  return gate;
}

/** As {@linkcode holdAt}, and fails when it is let go. */
export function failAt(gate: string | null): never {
  holdAt(gate);
  throw new RangeError("let go");
}

/** Says in a file that it has started, and never ends by itself. */
export function loopForEver(gate: string): void {
  Deno.writeTextFileSync(`${gate}.arrived`, "x", { append: true });
  for (;;);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

// ---- ends ---------------------------------------------------------------------------------------------------------

/** Ends this process by a signal. For processes only. */
export function killSelf(signal: Deno.Signal): void {
  // Deno has a handler for SIGSEGV, which only the second one passes.
  for (;;) {
    Deno.kill(Deno.pid, signal);
    sleep(10);
  }
}

/** Ends this process by a signal when it is let go. */
export function killSelfAt(gate: string): void {
  holdAt(gate);
  killSelf("SIGKILL");
}

const LIBRARIES: Partial<Record<typeof Deno.build.os, string>> = {
  linux: "libc.so.6",
  darwin: "libSystem.dylib",
  windows: "ucrtbase.dll",
};

/** Ends this process without a word, by the `_exit()` of C: what Deno and Node have for that ends the task only. */
export function endAbruptly(code: number): void {
  const library = Deno.dlopen(LIBRARIES[Deno.build.os]!, { _exit: { parameters: ["i32"], result: "void" } });
  library.symbols._exit(code);
}

/** Results that do something when they are read to be sent. */
export function makeTrap(how: string): unknown {
  return {
    fine: 1,
    get trap() {
      if (how === "kill") killSelf("SIGKILL");
      if (how === "exit") Deno.exit(5);
      if (how === "throw") throw new EvalError("thrown by the result");
      return 1;
    },
  };
}

/** Results that JSON does not take. */
export function makeOdd(how: string): unknown {
  if (how === "toJSON") {
    return {
      toJSON() {
        throw new EvalError("never called");
      },
    };
  }
  if (how === "bigint") return { big: 10n ** 30n };
  const cycle: Record<string, unknown> = { n: 1 };
  cycle.self = cycle;
  return cycle;
}

// ---- errors -------------------------------------------------------------------------------------------------------

/** The test registers another class of this name, which cannot be decoded. */
export class TrappedResult extends Error {
  override name = "TrappedResult";
}

export function throwTrapped(): never {
  throw new TrappedResult("sent, and not to be decoded");
}

export function failByName(which: string): never {
  throw new TypeError(`failed for ${which}`, { cause: new RangeError("the cause of it") });
}

// ---- state of the worker ------------------------------------------------------------------------------------------

let state = "untouched";

export function setState(text: string): void {
  state = text;
}

export function getState(): string {
  return state;
}

export function moduleName(): string {
  return import.meta.url;
}

/** Tells a waiting thread that the initializer has run in this worker. */
export function countIn(words: Int32Array): void {
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
}

export function readWord(words: Int32Array): number {
  return Atomics.load(words, 0);
}

// ---- memory of the worker -----------------------------------------------------------------------------------------

let argument: WeakRef<object> | undefined;

export function remember(value: object): void {
  argument = new WeakRef(value);
}

/** Whether what {@linkcode remember} got has been freed. Needs `--expose-gc` in the worker. */
export async function isFreed(): Promise<boolean> {
  const { gc } = globalThis as unknown as { gc(): void };
  for (let i = 0; i < 40; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
    if (argument!.deref() === undefined) return true;
  }
  return false;
}

/** Makes this worker unable to decode errors of a class of that name. */
export function registerTrap(): string {
  class TrappedArgument extends Error {
    override get name(): string {
      throw new EvalError("thrown while decoding");
    }
  }
  registerError(TrappedArgument);
  return "registered";
}
