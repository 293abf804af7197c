/** Which function runs in the worker: by reference, and never a wrong one. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { TaskNotFoundError, taskRef } from "@concurrent/futures";
import { both, bothFail, temporaryPath, test, within } from "../_helpers.ts";
import { add, add as plus, callsSoFar, countCalls, half, ownMain, ownUrl } from "../fixtures/tasks.ts";
import * as tasks from "../fixtures/tasks.ts";
import lookupDefault, * as lookup from "../fixtures/lookup.ts";
import { nextNumber as again, scaledAgain, whose as reexported } from "../fixtures/reexport.ts";
import renamedDefault, { fromList, outer, shown } from "../fixtures/renamed.ts";
import { whose as whoseA } from "../fixtures/twin_a.ts";
import { whose as whoseB } from "../fixtures/twin_b.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

const secret = 1_000;

/** Needs this module's own state. */
export function addSecret(n: number): number {
  return n + secret;
}

export const timesSecret = async (n: number): Promise<number> => await Promise.resolve(n * secret);

/** The same text as a function inside a test below, which closes over another `secret`. */
export const remote = (n: number): number => n - secret;

const LOOKUP = import.meta.resolve("../fixtures/lookup.ts");
const TASKS = import.meta.resolve("../fixtures/tasks.ts");

/** Makes a function with the name and the text of {@linkcode remote} that means something else. */
function makeImpostor(secret: number): (n: number) => number {
  const remote = (n: number): number => n - secret;
  return remote;
}

export function lookupBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}: a function that the calling module exports runs there, by reference`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(addSecret, 1), (n) => assertEquals(n, 1_001));
    await both(() => pool.submit(timesSecret, 2), (n) => assertEquals(n, 2_000));
    assertEquals([...pool.map(addSecret, [1, 2, 3])], [1_001, 1_002, 1_003]);
  });

  test(`${name}: a function that the calling module imports runs in its own module, under whatever name`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(add, 1, 2), (n) => assertEquals(n, 3));
    await both(() => pool.submit(plus, 1, 2), (n) => assertEquals(n, 3));
    await both(() => pool.submit(tasks.add, 1, 2), (n) => assertEquals(n, 3));
    await both(() => pool.submit(half, 5), (n) => assertEquals(n, 2.5));
    await both(() => pool.submit(lookup.scaled, 2), (n) => assertEquals(n, 20));
    await both(() => pool.submit(lookup.scaledLater, 3), (n) => assertEquals(n, 30));
    await both(() => pool.submit(lookup.scaledExpression, 4), (n) => assertEquals(n, 40));
    await both(() => pool.submit(ownUrl), (url) => assertEquals(url, TASKS));
  });

  test(`${name}: a renamed, a default and a re-exported function run in their own module`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(lookup.publicName, 2), (n) => assertEquals(n, 21));
    await both(() => pool.submit(lookupDefault, 2), (n) => assertEquals(n, 22));
    await both(() => pool.submit(lookup.default, 2), (n) => assertEquals(n, 22));
    await both(() => pool.submit(scaledAgain, 2), (n) => assertEquals(n, 20));
    await both(() => pool.submit(reexported), (text) => assertEquals(text, "a"));
    await both(() => pool.submit(lookup.constructor as (n: number) => number, 1), (n) => assertEquals(n, 15));
  });

  test(`${name}: a function that is exported under another name than its own is found all the same`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(shown, 1), (n) => assertEquals(n, 10));
    await both(() => pool.submit(outer, 1), (n) => assertEquals(n, 11));
    await both(() => pool.submit(renamedDefault, 1), (n) => assertEquals(n, 13));
  });

  test(`${name}: an exported function that has no name of its own is found all the same`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(fromList, 1), (n) => assertEquals(n, 12));
  });

  test(`${name}: a program that changes how errors print their stack changes nothing here`, async () => {
    using pool = borrow(kind, 1);
    const settings = Error as unknown as { stackTraceLimit: number; prepareStackTrace?: unknown };
    const { stackTraceLimit, prepareStackTrace } = settings;
    const strange: [number, unknown][] = [[0, prepareStackTrace], [50, () => "text"], [
      10,
      (_: Error, frames: unknown) => frames,
    ]];
    try {
      for (const [i, [limit, prepare]] of strange.entries()) {
        settings.stackTraceLimit = limit;
        settings.prepareStackTrace = prepare;
        // A function that was not seen before each time.
        const task = [tasks.halve, tasks.quarter, tasks.eighth][i];
        assertEquals(pool.submit(task, 8).result(10_000), [4, 2, 1][i]);
        assertEquals([settings.stackTraceLimit, settings.prepareStackTrace], [limit, prepare], "put back");
      }
    } finally {
      Object.assign(settings, { stackTraceLimit, prepareStackTrace });
    }
    await within(pool.submit(add, 1, 2));
  });

  test(`${name}: a module is imported once in a worker and keeps its state there`, async () => {
    using pool = make({ maxWorkers: 1 });
    const numbers: number[] = [];
    for (let i = 0; i < 3; i++) numbers.push(await within(pool.submit(lookup.nextNumber)));
    numbers.push(await within(pool.submit(again)));
    numbers.push(await within(pool.submit(taskRef<() => number>(LOOKUP, "nextNumber"))));
    assertEquals(numbers, [1, 2, 3, 4, 5]);
    const before = callsSoFar();
    assertEquals(await within(pool.submit(countCalls)), 1);
    assertEquals(callsSoFar(), before, "the module of this thread is another one");
    using other = borrow(kind, 1);
    assertEquals(await within(other.submit(lookup.nextNumber)), 1, "so is that of another pool's worker");
  });

  test(`${name}: import.meta.main is false in a worker`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(ownMain), (main) => assertEquals(main, false));
  });

  test(`${name}: a function that is called from a timer, a promise or another function is found too`, async () => {
    using pool = borrow(kind, 1);
    const later = new Promise<number>((resolve, reject) => {
      setTimeout(() => pool.submit(addSecret, 1).then(resolve, reject), 0);
    });
    assertEquals(await within(later), 1_001);
    assertEquals(await within(Promise.resolve(2).then((n) => pool.submit(addSecret, n))), 1_002);
    const deep = (n: number): number => n > 0 ? deep(n - 1) : pool.submit(addSecret, 3).result(10_000);
    assertEquals(deep(50), 1_003);
    assertEquals(await within(Promise.all([4, 5].map((n) => pool.submit(lookup.scaled, n)))), [40, 50]);
    const submit = pool.submit.bind(pool) as typeof pool.submit;
    assertEquals(await within(submit(addSecret, 6)), 1_006);
  });

  test(`taskRef(): ${name} runs that export of that module, dots reach into objects and static members`, async () => {
    using pool = borrow(kind, 1);
    type Task = (n: number) => number;
    for (
      const [path, result] of [
        ["scaled", 20],
        ["publicName", 21],
        ["default", 22],
        ["addSix", 8],
        ["tools.deep.scaled", 24],
        ["Scale.apply", 20],
        ["Scale.inner.apply", 23],
        ["Scale.applyOwn", 200],
        ["constructor", 25],
      ] as const
    ) {
      await both(() => pool.submit(taskRef<Task>(LOOKUP, path), 2), (n) => assertEquals(n, result, path));
    }
    await both(() => pool.submit(taskRef<Task>(new URL(LOOKUP), "scaled"), 2), (n) => assertEquals(n, 20));
    assertEquals([...pool.map(taskRef<Task>(LOOKUP, "tools.deep.scaled"), [1, 2])], [14, 24]);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    queueMicrotask(() => resolve(taskRef<Task>(LOOKUP, "scaled")));
    await both(pool.submit(await promise as Task, 3), (n) => assertEquals(n, 30));
  });

  test(`taskRef(): a missing export fails the future of ${name} with TaskNotFoundError naming the module`, async () => {
    using pool = borrow(kind, 1);
    for (
      const path of [
        "missing",
        "notAFunction",
        "tools",
        "tools.number",
        "tools.missing",
        "tools.missing.deeper",
        "notAFunction.deeper.still",
        "Scale.missing",
        "toString",
        "__proto__",
        "hasOwnProperty",
        "tools.deep.__proto__.hasOwnProperty",
      ]
    ) {
      await bothFail(() => pool.submit(taskRef<() => void>(LOOKUP, path)), (error) => {
        assertInstanceOf(error, TaskNotFoundError, `${path}: ${error}`);
        assertEquals(error.name, "TaskNotFoundError");
        assertStringIncludes(error.message, "fixtures/lookup.ts");
        assertStringIncludes(error.message, path);
      });
    }
    await both(() => pool.submit(add, 1, 2), (n) => assertEquals(n, 3));
  });

  test(`taskRef(): a module that is not there, or no module, fails the future of ${name} and names it`, async () => {
    using pool = borrow(kind, 1);
    const broken = `${temporaryPath("broken")}.ts`;
    Deno.writeTextFileSync(broken, "export function task( {\n");
    for (const file of [new URL("./not_there.ts", import.meta.url).href, new URL(`file://${broken}`).href]) {
      await bothFail(() => pool.submit(taskRef<() => void>(file, "task")), (error) => {
        assertInstanceOf(error, Error);
        assertStringIncludes(error.message, file.split("/").at(-1)!);
      });
    }
    await both(() => pool.submit(add, 1, 2), (n) => assertEquals(n, 3));
  });

  test(`${name}: a module that throws while it is imported fails that future with its error`, async () => {
    using pool = borrow(kind, 1);
    for (const [file, message] of [["throws", "thrown while importing"], ["rejects", "rejected while importing"]]) {
      const task = taskRef<() => number>(import.meta.resolve(`../fixtures/${file}_on_import.ts`), "never");
      for (let i = 0; i < 2; i++) {
        await bothFail(() => pool.submit(task), (error) => {
          assertInstanceOf(error, URIError);
          assertEquals(error.message, message);
        });
      }
      await both(() => pool.submit(add, 1, 2), (n) => assertEquals(n, 3));
    }
  });

  test(`${name}: a module that takes its time to import holds its task, not the others`, async () => {
    using pool = borrow(kind, 1);
    const task = taskRef<(n: number) => number>(import.meta.resolve("../fixtures/slow_import.ts"), "afterSlowImport");
    const futures = [pool.submit(task, 10), pool.submit(add, 1, 2), pool.submit(task, 20)];
    assertEquals(await within(Promise.all(futures)), [11, 3, 22]);
    using blocked = borrow(kind, 2);
    assertEquals(blocked.submit(task, 10).result(10_000), 11);
  });

  test(`${name}: functions with one text in two modules run each in its own`, async () => {
    using pool = borrow(kind, 1);
    assert(String(whoseA) === String(whoseB) && whoseA.name === whoseB.name, "twins");
    for (const [task, result] of [[whoseA, "a"], [whoseB, "b"]] as const) {
      for (const blocking of [true, false]) {
        let outcome: unknown;
        try {
          const future = pool.submit(task);
          outcome = blocking ? future.result(10_000) : await within(future);
        } catch (error) {
          outcome = error; // refusing is allowed, the other one's answer is not
        }
        if (outcome instanceof Error) assertInstanceOf(outcome, TaskNotFoundError, String(outcome));
        else assertEquals(outcome, result);
      }
    }
  });

  test(`${name}: two exports with one text and no name of their own are never mixed up`, async () => {
    using pool = borrow(kind, 1);
    for (const [task, result] of [[lookup.addFive, 6], [lookup.addSix, 7]] as const) {
      const outcome = await within(pool.submit(task, 1).then((n) => n, (error) => error));
      assert(outcome === result || outcome instanceof Error, `got ${outcome} instead of ${result}`);
    }
  });

  test(`${name}: a closure with the name and text of an export is never taken for it`, async () => {
    using pool = borrow(kind, 1);
    const impostor = makeImpostor(1);
    assertEquals([impostor.name, String(impostor)], [remote.name, String(remote)]);
    const outcome = await within(pool.submit(impostor, 5).then((n) => n, (error) => error));
    assert(outcome === 4 || outcome instanceof Error, `got ${outcome}: the export ran in place of the closure`);
    assertEquals(await within(pool.submit(remote, 5)), -995);
  });

  test(`${name}: a local function with the name of an export and another text runs itself`, async () => {
    using pool = borrow(kind, 1);
    const local = (() => {
      function addSecret(n: number): number {
        return n + 1;
      }
      return addSecret;
    })();
    await both(() => pool.submit(local, 1), (n) => assertEquals(n, 2));
    const add = (a: number, b: number) => a - b;
    await both(() => pool.submit(add, 1, 2), (n) => assertEquals(n, -1));
  });

  test(`${name}: a native or bound function fails its future with an error naming the modules looked at`, async () => {
    using pool = borrow(kind, 1);
    const native: ((...args: never[]) => unknown)[] = [
      Math.max,
      JSON.stringify,
      parseInt,
      add.bind(null, 1),
      (() => 1).bind(null),
      [].map,
      structuredClone,
      new Proxy(add, {}),
    ];
    for (const task of native) {
      await bothFail(() => pool.submit(task as () => unknown), (error) => {
        assertInstanceOf(error, TaskNotFoundError, `${Deno.inspect(task)}: ${error}`);
        assertMatch(error.message, /behaviour\/lookup\.ts/, Deno.inspect(task));
      });
    }
    await both(() => pool.submit(tasks.add, 1, 2), (n) => assertEquals(n, 3));
  });
}
