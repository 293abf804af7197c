/** Signals in shared memory: who notes that one was aborted, who hears of it, and for how long. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { makeLiveSignal } from "../../executors/_values/live_signal.ts";
import { abortMemory, createSignalMemory } from "../../executors/_values/signal_memory.ts";
import { memoryOf, releaseSignals, signalFrom, signalOf } from "../../executors/_values/signals.ts";
import { Signals } from "../../executors/processes/_signals.ts";
import type { EncodedTask } from "../../executors/processes/_batching.ts";
import { createNoted, NOTED, noteSignal, SignalTable } from "../../executors/processes/child/_signals.ts";
import { sleep, test, until } from "../_helpers.ts";
import { atEachStep, Interruption } from "./_kit.ts";

/** The bytes of a reason, as memory holds it. */
function reasonOf(reason: unknown): Uint8Array {
  const memory = memoryOf(AbortSignal.abort(reason));
  return new Uint8Array(memory, 8, new Int32Array(memory, 0, 2)[1]).slice();
}

/** A copy of a reason's bytes as the text that messages carry. */
const textOf = (reason: unknown) => new TextDecoder().decode(reasonOf(reason));

/** What a memory says. */
function stateOf(memory: SharedArrayBuffer): unknown {
  // As it would be read in another thread.
  const copy = structuredClone(memory);
  const signal = signalFrom(copy);
  const state = signal.aborted ? signal.reason : "not aborted";
  releaseSignals();
  return state;
}

test("a live signal looks when it is asked, keeps what it has said, and calls its listeners once", () => {
  let looks = 0;
  let found: [reason: unknown] | undefined;
  const { signal, fire } = makeLiveSignal(() => {
    looks++;
    return found;
  });
  const heard: unknown[] = [];
  signal.addEventListener("abort", () => heard.push(signal.aborted, signal.reason));
  fire();
  signal.throwIfAborted();
  assertEquals([signal.aborted, signal.reason, looks > 0], [false, undefined, true]);
  const reason = { why: "enough" };
  found = [reason];
  assertStrictEquals(assertThrows(() => signal.throwIfAborted()) as unknown, reason);
  assertEquals(heard, [], "not from inside of a question");
  found = undefined;
  assertStrictEquals(signal.reason, reason);
  fire();
  fire();
  assertEquals(heard, [true, reason]);
  assert(AbortSignal.any([signal]).aborted);
  found = ["another one"];
  assertStrictEquals(signal.reason, reason);
});

test("a signal that is read from memory is aborted by the first reason, and followed until released", async () => {
  const memory = createSignalMemory();
  abortMemory(memory, reasonOf("first"));
  abortMemory(memory, reasonOf("second"));
  const aborted = signalFrom(memory);
  assertEquals([aborted.aborted, aborted.reason], [true, "first"]);
  assert(AbortSignal.any([aborted]).aborted, "also for who does not ask it");

  const other = createSignalMemory();
  const heard: string[] = [];
  const followed = signalFrom(other);
  followed.addEventListener("abort", () => heard.push("followed"));
  signalFrom(other).addEventListener("abort", () => heard.push("released"));
  releaseSignals();
  const later = signalFrom(other);
  later.addEventListener("abort", () => heard.push("later"));
  abortMemory(other, reasonOf("the reason"));
  await until(() => heard.length > 0, "the event");
  await sleep(10);
  assertEquals(heard, ["later"], "the task of the others is done");
  assertEquals([followed.aborted, later.reason], [true, "the reason"]);
  releaseSignals();
});

test("a signal of this thread is itself when it is read here", () => {
  const { signal } = new AbortController();
  const memory = memoryOf(signal);
  assertStrictEquals(memoryOf(signal), memory);
  assertStrictEquals(signalOf(memory), signal);
  assertStrictEquals(signalFrom(memory), signal);
});

test("Signals tells a child of a signal as long as one of its tasks has it, and for one that comes", async () => {
  const told: [number, string][] = [];
  const signals = new Signals((number, reason) => void told.push([number, reason]));
  const [memory, other] = [createSignalMemory(), createSignalMemory()];
  const taskWith = (...shared: SharedArrayBuffer[]) => ({ payload: { shared } }) as unknown as EncodedTask;
  const [first, second, third] = [taskWith(memory, memory), taskWith(memory), taskWith(other)];
  assertEquals([signals.begin(first), signals.begin(second), signals.begin(third)], [[1, 1], [1], [2]]);
  signals.forget([first, third]);
  const reason = textOf("enough");
  abortMemory(memory, reasonOf("enough"));
  abortMemory(other, reasonOf("nobody has it"));
  await until(() => told.length > 0, "the message");
  await sleep(10);
  assertEquals(told, [[1, reason]]);
  // The child may have forgotten it since.
  assertEquals(signals.begin(taskWith(memory)), [1]);
  assertEquals(told, [[1, reason], [1, reason]]);
  signals.forget([second, taskWith(memory)]);
  // It is aborted when it comes.
  assertEquals(signals.begin(taskWith(memory)), [3]);
  assertEquals(told.slice(2), [[3, reason]]);
  signals.forget([taskWith(memory)]);
});

test("SignalTable hears of a signal before its task, while it runs, and as long as a task has it", async () => {
  const noted = createNoted();
  const table = new SignalTable(noted);
  noteSignal(noted, NOTED, 1, reasonOf("before"));
  table.hear(2, textOf("heard"));
  const [one, two, three] = table.enter([1, 2, 3]);
  assertEquals([one, two, three].map(stateOf), ["before", "heard", "not aborted"]);
  assertStrictEquals(table.enter([3])[0], three);
  table.leave([1, 2, 3]);
  noteSignal(noted, NOTED, 3, reasonOf("while it runs"));
  // From its event loop, although nobody asks.
  await until(() => new Int32Array(three, 0, 1)[0] === 1, "the note");
  assertEquals(stateOf(three), "while it runs");
  table.leave([3]);
  // Told twice, by the thread that reads and by the message.
  table.hear(3, textOf("again"));
  assertEquals(stateOf(three), "while it runs");
  assert(table.enter([3])[0] !== three, "no task had it any more");
  table.leave([3]);
});

test("a signal that is aborted at any moment while it is made for a task is aborted, and says so", async () => {
  const unhandled: unknown[] = [];
  const note = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  addEventListener("unhandledrejection", note);
  const steps = await atEachStep(async (at) => {
    const memory = createSignalMemory();
    let signal: AbortSignal;
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => abortMemory(memory, new Uint8Array(0)));
      signal = signalFrom(memory);
      happened = interruption.happened;
    }
    // Deno's own signal, which does not ask this one whether it is aborted.
    const any = AbortSignal.any([signal]);
    if (!happened) abortMemory(memory, new Uint8Array(0));
    assert(signal.aborted);
    await until(() => any.aborted, `the event of a signal that was aborted at step ${at}`, 1_000);
    releaseSignals();
    return happened;
  });
  removeEventListener("unhandledrejection", note);
  assertEquals(unhandled, []);
  assert(steps >= 5, `${steps} steps`);
});
