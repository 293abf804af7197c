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
  const names = Object.keys(await import(SHAPES)).join(", ");
  for (
    const [name, problem] of [
      ["Scale.factor", `The export Scale.factor of ${SHAPES} is not a function: 100`],
      ["no.such.export", `Cannot find the export no.such.export in ${SHAPES}`],
    ]
  ) {
    const error = await assertRejects(async () => await taskRef(SHAPES, name)());
    assertInstanceOf(error, TypeError);
    assertEquals(error.message, `${problem}. To fix it, name one of its exports in taskRef(): ${names}`);
  }
});

test("taskRef() refuses a URL that is not absolute, and a name that is none", () => {
  for (const url of ["./tasks.ts", "tasks", ""]) {
    assertThrows(() => taskRef(url, "add"), TypeError, "The URL of a task's module must be absolute: ");
  }
  for (const name of ["", undefined, 1] as unknown as string[]) {
    assertThrows(
      () => taskRef(TASKS, name),
      TypeError,
      "The name of a task's export must be a string that is not empty: ",
    );
  }
});
