/** Functions that are sent as source text: every shape that a function can be written in. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { both, bothFail, test, within } from "../_helpers.ts";
import { add } from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

const label = "shadow";
const computed = "computed name";

/** Written as methods, whose text is not an expression. */
const methods = {
  double(n: number) {
    return n * 2;
  },
  async later(n: number) {
    return await Promise.resolve(n * 2);
  },
  "quoted-name"(n: number) {
    return n * 2;
  },
  [computed](n: number) {
    return n * 2;
  },
  42(n: number) {
    return n * 2;
  },
  delete(n: number) {
    return n * 2;
  },
  function(n: number) {
    return n * 2;
  },
  get(n: number) {
    return n * 2;
  },
  set(n: number) {
    return n * 2;
  },
  async(n: number) {
    return n * 2;
  },
  static(n: number) {
    return n * 2;
  },
  await(n: number) {
    return n * 2;
  },
  class(n: number) {
    return n * 2;
  },
  arrow: (n: number) => n * 2,
  expression: function (n: number) {
    return n * 2;
  },
  ["com" + "puted" as string]: (n: number) => n * 2,
} as Record<string, (n: number) => number | Promise<number>>;

const asyncMethods = {
  async async(n: number) {
    return await n * 2;
  },
  async get(n: number) {
    return await n * 2;
  },
  async delete(n: number) {
    return await n * 2;
  },
  async "quoted-name"(n: number) {
    return await n * 2;
  },
} as Record<string, (n: number) => number | Promise<number>>;

class Holder {
  static double(n: number) {
    return n * 2;
  }
  static async later(n: number) {
    return await n * 2;
  }
  static field = (n: number) => n * 2;
  double(n: number) {
    return n * 2;
  }
}

/** Written as expressions, each of which doubles. */
const expressions: Record<string, (n: number) => number | Promise<number>> = {
  "arrow": (n) => n * 2,
  "arrow with a block": (n) => {
    return n * 2;
  },
  "arrow with a comment at its end": (n) => n * 2, // here
  "arrow with a comment inside": (n) => {
    // a comment }
    return n * 2; /* another ) */
  },
  "async arrow": async (n) => await Promise.resolve(n * 2),
  "function expression": function (n) {
    return n * 2;
  },
  "async function expression": async function (n) {
    return await n * 2;
  },
  "function that calls itself": function times(n, left = 1): number {
    return left === 0 ? n : times(n * 2, left - 1);
  } as (n: number) => number,
  "default parameter": (n, by = 2) => n * by,
  "rest parameter": (...all: number[]) => all[0] * 2,
  "destructured parameter": (...[n]: number[]) => n * 2,
  "arrow that returns an object's field": (n) => ({ value: n * 2 }).value,
  "function with inner functions": (n) => {
    const inner = (m: number) => m * 2;
    function outer(m: number) {
      return inner(m);
    }
    return outer(n);
  },
  "function with an inner class": (n) => {
    class Doubler {
      #by = 2;
      run(m: number) {
        return m * this.#by;
      }
    }
    return new Doubler().run(n);
  },
  "template text": (n) => Number(`${n * 2}`),
  "regular expression": (n) => /[/)}]/.test("}") ? n * 2 : 0,
  "optional chaining and bigint": (n) => Number(BigInt(n) * 2n) ?? label?.length,
  "globals of the worker": (n) => Math.max(n * 2, performance.now() * 0, typeof Deno === "object" ? 0 : Infinity),
  "unicode": (n) => {
    const größe = "ü€😀";
    return größe.length > 0 ? n * 2 : 0;
  },
};

/** Cannot be exported without a change of its text, so it is only ever sent as that. */
function notExported(n: number): number {
  return n * 2;
}

export function lookupShapesBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`${name}: a self-contained function of any shape runs from its source text`, async () => {
    using pool = borrow(kind, 1);
    const holder = new Holder();
    const shapes = {
      ...expressions,
      notExported,
      "static method": Holder.double,
      "async static method": Holder.later,
      "static field": Holder.field,
      "method of an instance": holder.double,
    };
    const faults: string[] = [];
    const all = [shapes, methods, asyncMethods].flatMap((group) => Object.entries<(typeof methods)[string]>(group));
    for (const [what, task] of all) {
      const outcome = await within(pool.submit(task, 21).then((n) => n, (error) => error));
      if (outcome !== 42) faults.push(`${what}: ${outcome}`);
    }
    assertEquals(faults, []);
    assertEquals(pool.submit((n: number) => n * 2, 21).result(10_000), 42);
    assertEquals(pool.submit(methods.double, 21).result(10_000), 42);
  });

  test(`${name}: source text runs in strict mode, as a module does`, async () => {
    using pool = borrow(kind, 1);
    await both(
      () =>
        pool.submit(function (this: unknown) {
          return this === undefined;
        }),
      (strict) => assertEquals(strict, true),
    );
    await bothFail(() => pool.submit(() => Object.assign(Object.freeze({ a: 1 }), { a: 2 })), (error) => {
      assertInstanceOf(error, TypeError);
    });
  });

  test(`${name}: a closure's error names what is missing and says how to fix it`, async () => {
    using pool = borrow(kind, 1);
    const factor = 3;
    const offset = { by: 1 };
    const closures: [string, () => unknown][] = [
      ["factor", () => factor * 2],
      ["offset", () => offset.by],
      ["add", () => add(1, 2)],
      ["label", () => label.length],
      ["notExported", () => notExported(1)],
      ["Holder", () => new Holder()],
      ["factor", async () => await Promise.resolve(factor)],
      ["factor", () => [1].map((n) => n * factor)],
    ];
    const faults: string[] = [];
    for (const [missing, task] of closures) {
      try {
        await bothFail(() => pool.submit(task), (error) => {
          assertInstanceOf(error, Error);
          for (const part of [missing, "export", "taskref"]) {
            assertStringIncludes(error.message.toLowerCase(), part.toLowerCase());
          }
        });
      } catch (error) {
        faults.push(`${task}: ${(error as Error).message}`);
      }
    }
    assertEquals(faults, []);
    assertEquals(await within(pool.submit((n: number) => n, 1)), 1, "the pool stays usable");
  });

  test(`${name}: an error of a function's own is not taken for a closure's`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(
      () =>
        pool.submit(() => {
          throw new TypeError("of its own");
        }),
      (error) => {
        assertInstanceOf(error, TypeError);
        assertEquals(error.message, "of its own");
      },
    );
    await bothFail(
      () =>
        pool.submit(() => {
          throw new ReferenceError("of its own");
        }),
      (error) => {
        assertInstanceOf(error, ReferenceError);
        assertStringIncludes(error.message, "of its own");
      },
    );
  });

  test(`${name}: a method that uses this fails its future with a clear error`, async () => {
    using pool = borrow(kind, 1);
    const object = {
      by: 2,
      times(n: number) {
        return n * this.by;
      },
    };
    await bothFail(() => pool.submit(object.times, 2), (error) => assertInstanceOf(error, Error));
    assertEquals(await within(pool.submit(notExported, 2)), 4);
  });

  test(`${name}: a class or a generator function is settled, never hangs`, async () => {
    using pool = borrow(kind, 1);
    const odd = [
      class {},
      function* () {
        yield 1;
      },
      async function* () {
        yield 1;
      },
      methods.constructor,
    ];
    for (const task of odd) {
      await bothFail(() => pool.submit(task as () => unknown), (error) => assertInstanceOf(error, Error));
    }
    assertEquals(await within(pool.submit(notExported, 2)), 4);
  });

  test(`${name}: one text that is sent many times gives the same function, two texts two`, async () => {
    using pool = borrow(kind, 2);
    const futures = Array.from({ length: 2_000 }, (_, i) => {
      return i % 2 === 0 ? pool.submit((n: number) => n + 1, i) : pool.submit((n: number) => n - 1, i);
    });
    const values = await within(Promise.all(futures));
    assert(values.every((value, i) => value === (i % 2 === 0 ? i + 1 : i - 1)));
  });
}
