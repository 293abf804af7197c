/** Signals among the arguments of tasks: aborted at any moment while who gets one makes it. */
import { assert, assertEquals } from "@std/assert";
import { abortMemory, createSignalMemory, releaseSignals, signalFrom } from "../../executors/_values/signals.ts";
import { test, until } from "../_helpers.ts";
import { atEachStep, Interruption } from "./_kit.ts";

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
