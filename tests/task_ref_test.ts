/** {@linkcode taskRef} without an executor. With executors: `behaviour/lookup.ts`. */
import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { taskRef } from "@concurrent/futures";
import { test } from "./_helpers.ts";

const TASKS = import.meta.resolve("./fixtures/tasks.ts");
const SHAPES = import.meta.resolve("./fixtures/lookup.ts");

test("taskRef() makes a stand-in that calls the function here", async () => {
  const add = taskRef<(a: number, b: number) => number>(new URL(TASKS), "add");
  assertEquals([add.name, await add(1, 2)], ["add", 3]);
});

test("taskRef() reaches static members, with their class as receiver", async () => {
  assertEquals(await taskRef<(n: number) => number>(SHAPES, "Scale.applyOwn")(2), 200);
});

test("taskRef() of what is no function rejects when it is called", async () => {
  for (const name of ["Scale.factor", "no.such.export"]) {
    const error = await assertRejects(async () => await taskRef(SHAPES, name)());
    assertInstanceOf(error, TypeError);
    assertEquals(error.message, `Cannot call what is not a function: ${name} of ${SHAPES}`);
  }
});

test("taskRef() refuses a URL that is not absolute, and a name that is none", () => {
  for (const url of ["./tasks.ts", "tasks", ""]) {
    assertThrows(() => taskRef(url, "add"), TypeError, "Cannot refer to a module by a URL that is not absolute");
  }
  for (const name of ["", undefined, 1] as unknown as string[]) {
    assertThrows(() => taskRef(TASKS, name), TypeError, "Cannot refer to an export without a name: ");
  }
});
