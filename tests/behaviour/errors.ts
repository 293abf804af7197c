/** Errors that cross: with their class, fields, causes and stack. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, fail } from "@std/assert";
import { registerError, SerializationError } from "@concurrent/futures";
import { assertSame } from "../_same.ts";
import { both, bothFail, test, within } from "../_helpers.ts";
import { add, echo } from "../fixtures/tasks.ts";
import {
  failDeep,
  failWith,
  LimitError,
  makeError,
  PickyError,
  QuietError,
  rejectValue,
  rejectWith,
  throwValue,
  UnknownError,
} from "../fixtures/errors.ts";
import { throwBuilt } from "../fixtures/values.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

/** The built-in errors, with what they must be instances of. */
// deno-lint-ignore no-explicit-any
const BUILT_IN: Record<string, new (...args: any[]) => Error> = {
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  URIError,
  EvalError,
  AggregateError,
  DOMException,
  SuppressedError,
  NotFound: Deno.errors.NotFound,
};

export function errorBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`${name}: an error arrives with its built-in class, name and message, thrown or rejected`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    for (const [which, Class] of Object.entries(BUILT_IN)) {
      for (const task of [failWith, rejectWith]) {
        try {
          await bothFail(() => pool.submit(task, which), (error) => {
            const original = makeError(which) as Error;
            assertInstanceOf(error, Class);
            assertEquals(Object.getPrototypeOf(error), Class.prototype);
            assertEquals([error.name, error.message], [original.name, original.message]);
            assertEquals(typeof error.stack, "string");
          });
        } catch (error) {
          faults.push(`${which} by ${task.name}: ${(error as Error).message}`);
        }
      }
    }
    if (faults.length > 0) fail(faults.join("\n"));
  });

  test(`${name}: an AggregateError arrives with its errors, and a SuppressedError with its two`, async () => {
    registerError(LimitError);
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failWith, "AggregateError"), (error) => {
      assertEquals(error.errors.length, 3);
      assertInstanceOf(error.errors[0], TypeError);
      assertEquals([error.errors[0].message, error.errors[1], error.errors[2]], ["one", "two", { three: 3 }]);
    });
    await bothFail(() => pool.submit(failWith, "nested"), (error) => {
      assertInstanceOf(error.errors[0], AggregateError);
      assertInstanceOf(error.errors[0].errors[0], LimitError);
      assertEquals(error.errors[0].errors[0].limit, 1);
    });
    await bothFail(() => pool.submit(failWith, "SuppressedError"), (error) => {
      assertInstanceOf(error.error, TypeError);
      assertInstanceOf(error.suppressed, RangeError);
    });
  });

  test(`${name}: a DOMException arrives with its code`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failWith, "DOMException"), (error) => {
      assertInstanceOf(error, DOMException);
      assertEquals([error.name, error.message, error.code], ["AbortError", "plain", DOMException.ABORT_ERR]);
    });
  });

  test(`registerError(): a registered class arrives as itself from ${name}, whatever its constructor is`, async () => {
    for (const Class of [LimitError, QuietError, PickyError]) {
      registerError(Class);
      registerError(Class); // again is fine
    }
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failWith, "limit"), (error) => {
      assertInstanceOf(error, LimitError);
      assertEquals([error.name, error.message, error.field, error.limit], [
        "LimitError",
        "size is above 10",
        "size",
        10,
      ]);
    });
    await bothFail(() => pool.submit(failWith, "quiet"), (error) => {
      assertInstanceOf(error, QuietError);
      assertInstanceOf(error, RangeError);
      assertEquals([error.name, error.message, error.code], ["RangeError", "quiet", 7]);
    });
    await bothFail(() => pool.submit(failWith, "picky"), (error) => {
      assertInstanceOf(error, PickyError);
      assertEquals([error.name, error.message, error.where], ["PickyError", "picky at HERE", "here"]);
    });
    await bothFail(() => pool.submit(failWith, "causeRegistered"), (error) => {
      assertInstanceOf(error.cause, LimitError);
      assertEquals(error.cause.limit, 3);
    });
    await both(() => pool.submit(makeError, "limit"), (error) => {
      assertInstanceOf(error, LimitError);
      assertEquals([error.message, error.limit], ["size is above 10", 10]);
    });
  });

  test(`registerError() refuses what is not a class of errors`, () => {
    const loose = registerError as (value: unknown) => void;
    for (const wrong of [undefined, null, 5, "Error", {}, class {}, () => 1, new Error("x")]) {
      let thrown: unknown;
      try {
        loose(wrong);
      } catch (error) {
        thrown = error;
      }
      assertInstanceOf(thrown, TypeError, Deno.inspect(wrong));
    }
  });

  test(`${name}: an error of a class that is not registered arrives as an Error with name and fields`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failWith, "unknown"), (error) => {
      assertEquals([error instanceof Error, error instanceof UnknownError], [true, false]);
      assertEquals([error.name, error.message], ["UnknownError", "not registered"]);
      assertSame(error.detail, { list: [1, 2, 3], when: new Date(0), big: 10n });
      assertEquals(`${error}`, "UnknownError: not registered");
    });
    await bothFail(() => pool.submit(failWith, "renamed"), (error) => {
      assertInstanceOf(error, TypeError);
      assertEquals([error.name, error.message], ["Other", "renamed"]);
    });
    await bothFail(
      () => pool.submit(failWith, "empty"),
      (error) => assertEquals([error.name, error.message], ["Error", ""]),
    );
  });

  test(`${name}: an error arrives with its own enumerable fields, lossless`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failWith, "fields"), (error) => {
      // Where it happened is told where there are several machines.
      const more = kind.isRemote ? ["remote"] : [];
      assertEquals(Object.keys(error), ["code", "detail", "missing", "bytes", ...more]);
      assertEquals(error.code, "E42");
      assertSame(error.detail, { list: [1, undefined, -0, NaN], map: new Map([["k", new Date(5)]]) });
      assertSame(error.bytes, new Uint8Array([1, 2]));
      assert("missing" in error && error.missing === undefined);
    });
  });

  test(`${name}: an error arrives with its chain of causes`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failWith, "causes"), (error) => {
      assertEquals([error.message, error.cause.message, error.cause.at], ["outer", "middle", 1]);
      assertInstanceOf(error.cause, TypeError);
      assertInstanceOf(error.cause.cause, RangeError);
      assertEquals([error.cause.cause.message, error.cause.cause.cause], ["inner", { code: 5 }]);
      assert(!Object.keys(error).includes("cause"), "cause is not enumerable, as on other errors");
    });
    await bothFail(() => pool.submit(failWith, "causeOfText"), (error) => assertEquals(error.cause, "a text"));
    await bothFail(() => pool.submit(failWith, "causeUndefined"), (error) => assert("cause" in error));
    await bothFail(() => pool.submit(failWith, "cycle"), (error) => {
      assertEquals(error.message, "cycle");
      assert(error.cause === error && error.self === error, "the cycle is kept");
    });
    await bothFail(() => pool.submit(failWith, "Error"), (error) => {
      assert(!("cause" in error) || error.cause !== undefined, "no cause is made up");
    });
  });

  test(`${name}: the stack of an error is the worker's`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failDeep), (error) => {
      assertStringIncludes(error.stack, "innerMostFunction");
      assertStringIncludes(error.stack, "failDeep");
      assertStringIncludes(error.stack, "fixtures/errors.ts");
      assertStringIncludes(error.stack, "TypeError: deep");
    });
    if (kind.isRemote) return;
    await bothFail(
      () =>
        pool.submit(() => {
          throw new RangeError("from source text");
        }),
      (error) => {
        assertInstanceOf(error, RangeError);
        assertStringIncludes(String(error.stack), "RangeError: from source text");
      },
    );
  });

  test(`${name}: a thrown falsy value still counts as failed`, async () => {
    using pool = borrow(kind, 1);
    for (const task of [throwValue, rejectValue]) {
      for (const falsy of [undefined, null, 0, -0, NaN, "", false, 0n]) {
        await bothFail(() => pool.submit(task, falsy), (error) => {
          assert(Object.is(error, falsy), `${Deno.inspect(falsy)} became ${Deno.inspect(error)}`);
        });
        const future = pool.submit(task, falsy);
        const { done } = await within(Promise.allSettled([future]).then(() => ({ done: String(future) })));
        assertStringIncludes(done, "state=finished raised");
      }
    }
  });

  test(`${name}: any value that can cross can be thrown`, async () => {
    using pool = borrow(kind, 1);
    for (const value of ["text", 5, true, 10n, { code: 5 }, [1, 2], new Map([[1, 2]]), new Date(0)]) {
      await bothFail(() => pool.submit(throwValue, value), (error) => assertSame(error, value));
    }
  });

  test(`${name}: a thrown value that cannot cross fails the future, and says what was thrown`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    for (const which of ["functionField", "instanceField", "functionCause"]) {
      try {
        await bothFail(() => pool.submit(failWith, which), (error) => {
          const text = Deno.inspect(error, { depth: 10 });
          const field = { functionField: "handler", instanceField: "response", functionCause: "cause" }[which]!;
          assertStringIncludes(text, makeErrorMessage(which), "the message of the error is lost");
          assertStringIncludes(text, field, "nothing tells which field could not cross");
        });
      } catch (error) {
        faults.push(`${which}: ${(error as Error).message}`);
      }
    }
    await bothFail(() => pool.submit(failWith, "noError"), (error) => {
      assertInstanceOf(error, SerializationError);
      assertStringIncludes(
        error.message,
        'an instance of ExitStatus with the message "Program terminated with exit(3)"',
      );
    });
    for (const which of ["function", "symbol"]) {
      try {
        await bothFail(() => pool.submit(failWith, which), (error) => assertInstanceOf(error, SerializationError));
      } catch (error) {
        faults.push(`${which}: ${(error as Error).message}`);
      }
    }
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
    if (faults.length > 0) fail(faults.join("\n"));
  });

  test(`${name}: a thrown error arrives with a chain of 1,000 causes`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(throwBuilt, "chain", 1_000), (error) => {
      let length = 1;
      for (; error.cause !== undefined; error = error.cause) length++;
      assertEquals([length, error.message], [1_000, "innermost"]);
      assert(!error.stack.includes("left out"));
    });
  });

  test(`${name}: thrown errors that refer to each other through lists and objects keep that, soon`, async () => {
    using pool = borrow(kind, 1);
    for (const size of [1, 5, 300]) {
      const start = performance.now();
      await bothFail(() => pool.submit(throwBuilt, "clique", size), (error) => {
        const { list } = error;
        assertEquals(list.length, size);
        assert(list[0] === error, "the first is the error itself");
        for (const one of list) assert(one.list === list && one.itself.error === one && one instanceof Error);
        assert(!error.stack.includes("left out"), error.stack);
      });
      assert(performance.now() - start < 3_000, `${size} errors took ${performance.now() - start} ms`);
    }
  });

  test(`${name}: of thrown errors only the properties that cannot cross are left out, and each says so`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(throwBuilt, "cliqueWithFault", 100), (error) => {
      for (const [i, one] of error.list.entries()) {
        assertEquals([one.code, one.list === error.list, "fault" in one], [`${i}`, true, false]);
        assertStringIncludes(one.stack, "[left out: fault.deep.handler]");
      }
    });
    for (const which of ["proxyField", "deepField"]) {
      await bothFail(() => pool.submit(throwBuilt, which, 20_000), (error) => {
        assertEquals(error.code, 1);
        assertStringIncludes(error.stack, `[left out: ${which.replace("Field", "")}`);
      });
    }
    // A node awaits what it runs, and looks at what was thrown, which such a proxy answers with an error of its own.
    const Class = kind.isRemote ? TypeError : SerializationError;
    await bothFail(() => pool.submit(throwBuilt, "proxy", 1), (error) => assertInstanceOf(error, Class));
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`${name}: a getter that throws is refused in an error that is sent, not left out`, async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(echo<unknown>, makeError("getterField")), (error) => {
      assertInstanceOf(error, SerializationError);
      assertEquals(error.path, "args[0].field");
    });
  });

  test(`${name}: an error that resists being read still fails its future, and only that`, async () => {
    using pool = borrow(kind, 1);
    for (const which of ["getterField", "oddMessage", "oddName", "oddStack", "noStack", "proxy"]) {
      await bothFail(() => pool.submit(failWith, which), (error) => assertInstanceOf(error, Error, which));
      assertEquals(await within(pool.submit(add, 1, 2)), 3, `after ${which}`);
    }
  });

  test(`${name}: an error as a value, not thrown, crosses as an error does`, async () => {
    registerError(LimitError);
    using pool = borrow(kind, 1);
    for (const which of ["TypeError", "AggregateError", "fields", "causes", "cycle", "causeUndefined"]) {
      await both(() => pool.submit(makeError, which), (value) => assertSame(value, makeError(which), which));
    }
    const error = new TypeError("mine");
    await both(() => pool.submit(echo<Error>, error), (back) => assertEquals(back.stack, error.stack));
  });
}

function makeErrorMessage(which: string): string {
  return (makeError(which) as Error).message;
}
