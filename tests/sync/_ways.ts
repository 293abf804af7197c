/** Each method that waits has two names: one that blocks, one that is awaited. Tests of semantics run in both ways. */
import { test } from "../_helpers.ts";

/** Calls a method as it blocks, or as it is awaited. */
export type Call = <O extends object, R>(object: O, method: keyof O & string, ...args: unknown[]) => Promise<R>;

const ways: Record<string, (name: string) => string> = {
  blocked: (name) => name,
  awaited: (name) => `${name}Async`,
};

/** Registers a test for each way to wait. */
export function testBothWays(name: string, run: (call: Call) => Promise<void>): void {
  for (const [way, nameOf] of Object.entries(ways)) {
    test(`${name} (${way})`, () =>
      run(async (object, method, ...args) => {
        const methods = object as unknown as Record<string, (...args: unknown[]) => never>;
        return await methods[nameOf(method)](...args);
      }));
  }
}

/** How long nothing must happen that shall not, in milliseconds. */
export const A_WHILE = 30;
