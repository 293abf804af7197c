/** The word by which the threads of a child agree which tasks are begun, and which are recalled. */
import { assert, assertEquals } from "@std/assert";
import { beginTask, createTurns, recallTasks } from "../../executors/processes/child/_turns.ts";
import { test } from "../_helpers.ts";
import { atEachStep, Interruption } from "./_kit.ts";

/** Both threads of a child, and which tasks they have begun, or recalled. */
class Threads {
  readonly turns = createTurns();
  readonly begun: number[] = [];
  readonly recalled: number[] = [];

  begin(id: number): void {
    if (beginTask(this.turns, id)) this.begun.push(id);
  }

  recall(from: number, last: number): void {
    const first = recallTasks(this.turns, last);
    for (let id = Math.max(first, from); id <= last; id++) this.recalled.push(id);
  }

  /** Fails unless each task is begun or recalled, and not both. */
  assertEach(count: number): void {
    const all = [...this.begun, ...this.recalled].sort((a, b) => a - b);
    assertEquals(
      all,
      Array.from({ length: count }, (_, i) => i + 1),
      `begun: ${this.begun}, recalled: ${this.recalled}`,
    );
  }
}

test("recallTasks() comes at any step of beginTask(): each task is begun or recalled, and never both", async () => {
  const steps = await atEachStep((at) => {
    const threads = new Threads();
    using interruption = new Interruption(at, () => threads.recall(1, 3));
    for (const id of [1, 2, 3]) threads.begin(id);
    if (interruption.happened) threads.assertEach(3);
    return interruption.happened;
  });
  assert(steps >= 12);
});

test("beginTask() comes at any step of recallTasks(): each task is begun or recalled, and never both", async () => {
  const steps = await atEachStep((at) => {
    const threads = new Threads();
    threads.begin(1);
    using interruption = new Interruption(at, () => threads.begin(2));
    threads.recall(1, 3);
    interruption[Symbol.dispose]();
    for (const id of [2, 3]) if (!threads.begun.includes(id)) threads.begin(id);
    threads.assertEach(3);
    return interruption.happened;
  });
  assert(steps >= 4);
});

test("recallTasks() comes when later tasks are begun: none of those is recalled the next time", async () => {
  // The reading thread passes on what it has read before it looks at it. So the main thread may have done task 1, and
  // begun task 2, which was sent after the message that recalls task 1.
  await atEachStep((at) => {
    const threads = new Threads();
    threads.begin(1);
    using interruption = new Interruption(at, () => threads.begin(2));
    threads.recall(1, 1);
    interruption[Symbol.dispose]();
    if (!threads.begun.includes(2)) threads.begin(2);
    threads.recall(2, 2);
    threads.assertEach(2);
    return interruption.happened;
  });
});
