/** What cannot be sent as text, or means something else there: it is refused, and the error says how to fix it. */
import { assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { basename } from "node:path";
import * as path from "node:path";
import crypto from "node:crypto";
import process from "node:process";
import { TaskNotFoundError, taskRef } from "@concurrent/futures";
import { both, bothFail, test, within } from "../_helpers.ts";
import { add } from "../fixtures/tasks.ts";
import { askForWorker } from "../fixtures/lookup.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

// deno-lint-ignore no-explicit-any
type AnyTask = (...args: any[]) => unknown;

class Greeter extends Object {
  name = "Bob";
  greet = (text: string): string => `${text} ${this.name}`;
  nested = (texts: string[]): string[] => texts.map((text) => text + this.name);
  method(text: string): string {
    return text + this.name;
  }
  inner(): string {
    return [1].map(() => this.name)[0];
  }
  override toString(): string {
    return super.toString();
  }
}

/** Mentions `this` only where it is another function's, or no code. */
const own = {
  text(n: number) {
    return "this".length + `this ${n} super`.length + /this/.source.length + n; // this
  },
  inner(n: number) {
    class Doubler {
      by = 2;
      static of = (n: number) => new Doubler().run(n);
      run(n: number) {
        return [n].map((n) => n * this.by)[0];
      }
    }
    const object = {
      by: 0,
      add(n: number) {
        return this.by + n;
      },
      get twice() {
        return this.by * 2;
      },
    };
    return Doubler.of(n) + object.add(n) + object.twice +
      (function (this: unknown) {
        return this === undefined ? 0 : 1;
      })();
  },
  arrow: (n: number) => {
    const object = { this: n, super: 1 };
    return object.this + object.super;
  },
};

export function lookupMessageBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`${name}: a function that uses this is refused, never run with another one`, async () => {
    using pool = borrow(kind, 1);
    const greeter = new Greeter();
    const tasks: AnyTask[] = [greeter.greet, greeter.nested, greeter.method, greeter.inner, greeter.toString];
    for (const task of tasks) {
      await bothFail(() => pool.submit(task, "Hi"), (error) => {
        assertInstanceOf(error, TaskNotFoundError, `${task}: ${error}`);
        assertStringIncludes(
          error.message,
          "because it uses this, which is not sent with it. To fix it, pass what it needs as arguments of a function " +
            "without this, or name a static method by taskRef(). Its text begins: ",
        );
      });
    }
    await both(() => pool.submit(own.text, 1), (n) => assertEquals(n, 4 + 12 + 4 + 1));
    await both(() => pool.submit(own.inner, 3), (n) => assertEquals(n, 9));
    await both(() => pool.submit(own.arrow, 3), (n) => assertEquals(n, 4));
  });

  test(`${name}: a function that is sent as text may ask whether it runs in a worker`, async () => {
    using pool = borrow(kind, 1);
    // Written here, the names would be taken from the variables of other tests.
    const task = new Function("return [typeof postMessage, typeof onmessage]") as () => string[];
    const exported = await pool.submit(askForWorker);
    await both(() => pool.submit(task), (types) => assertEquals(types, exported));
  });

  test(`${name}: a name of the program is never taken for a global one of the worker`, async () => {
    using pool = borrow(kind, 1);
    const name = "Alice";
    const postMessage = (text: string) => text;
    const onmessage = "mine";
    const performance = { now: () => 5 };
    const closures: [string, AnyTask][] = [
      ["name", () => name],
      ["postMessage", () => postMessage("text")],
      ["onmessage", async () => await Promise.resolve(onmessage)],
      // An export of its name is looked at first, and is another function.
      ["name", { add: () => name }.add],
    ];
    for (const [missing, task] of closures) {
      await bothFail(() => pool.submit(task), (error) => {
        assertInstanceOf(error, ReferenceError, `${task}: ${error}`);
        assertStringIncludes(error.message, `${missing} is not defined: the function `);
        assertStringIncludes(error.message, "taskRef()");
      });
    }
    const inline = [
      () => pool.submit(() => typeof crypto.createHash),
      () => pool.submit(() => performance.now()),
      () => {
        const task = () => performance.now();
        return pool.submit(task);
      },
    ];
    for (const submit of inline) {
      await bothFail(submit, (error) => {
        assertInstanceOf(error, ReferenceError, `${submit}: ${error}`);
        assertMatch(error.message, /^(crypto|performance) is not defined: the function /);
      });
    }
    // What is the same there, or a name of its own.
    await both(() => pool.submit(() => process.pid > 0), (pid) => assertEquals(pid, true));
    await both(() => pool.submit((name: string) => `${name}!`, "x"), (text) => assertEquals(text, "x!"));
    await both(
      () =>
        pool.submit((all: { name: string }[]) => {
          const { name } = all[0];
          return all.map(({ name }) => name).concat(name);
        }, [{ name: "a" }]),
      (names) => assertEquals(names, ["a", "a"]),
    );
    await both(() => pool.submit(() => ({ name: 1, onmessage: 2 })), (value) => {
      assertEquals(value, { name: 1, onmessage: 2 });
    });
    await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
  });

  test(`${name}: a part of Deno is refused with what to write in its place`, async () => {
    using pool = borrow(kind, 1);
    const stat = Deno.statSync;
    const parts: [AnyTask, string][] = [
      [Math.max, "(...args) => Math.max(...args)"],
      [JSON.parse, "(...args) => JSON.parse(...args)"],
      [parseInt, "(...args) => parseInt(...args)"],
      [structuredClone, "(...args) => structuredClone(...args)"],
      [URL.canParse, "(...args) => URL.canParse(...args)"],
      [Response.json, "(...args) => Response.json(...args)"],
      [AbortSignal.timeout, "(...args) => AbortSignal.timeout(...args)"],
      [Array.prototype.map, "(value, ...args) => value.map(...args)"],
      [stat, "(...args) => Deno.statSync(...args)"],
      [basename, 'use taskRef("node:path", "basename")'],
      [path.extname, 'use taskRef("node:path", "extname")'],
      [crypto.randomUUID, 'use taskRef("node:crypto", "randomUUID")'],
    ];
    const faults: string[] = [];
    for (const [task, mend] of parts) {
      const error = await within(pool.submit(task).then((value) => new Error(`returned ${value}`), (error) => error));
      const isRight = error instanceof TaskNotFoundError && error.message.includes(mend) &&
        error.message.includes(`. Submitted from: ${import.meta.url}`);
      if (!isRight) faults.push(`${mend}: ${error}`);
    }
    assertEquals(faults, []);
    await both(() => pool.submit(taskRef<AnyTask>("node:path", "basename"), "/a/b.c"), (base) => {
      assertEquals(base, "b.c");
    });
  });

  test(`${name}: a bound function is refused and says to pass the data`, async () => {
    using pool = borrow(kind, 1);
    const greeter = new Greeter();
    await bothFail(() => pool.submit(greeter.method.bind(greeter), "Hi"), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertMatch(
        error.message,
        /^Cannot send a bound function to a worker: bound \w*\. To fix it, pass the data of its object as arguments/,
      );
    });
  });

  test(`${name}: import.meta in a function that is sent as text is refused by name`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(() => import.meta.url), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertStringIncludes(error.message, "because it uses import.meta, which only a module has");
    });
    await both(() => pool.submit(() => "import.meta".length), (n) => assertEquals(n, 11));
  });

  test(`${name}: an error of a function's own stays itself, however it is frozen`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(
      () =>
        pool.submit(() => {
          throw Object.freeze(new ReferenceError("mine is not defined"));
        }),
      (error) => {
        assertInstanceOf(error, ReferenceError);
        assertEquals(error.message, "mine is not defined");
      },
    );
  });
}
