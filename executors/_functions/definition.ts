/**
 * What is known of a task's function on both sides.
 *
 * @module
 */

import type { TaskLocation } from "../task_ref.ts";

/** How a worker gets a function. */
export type Definition =
  | {
    readonly how: "reference";
    readonly name: string;
    readonly module: string;
    readonly path: string;
  }
  | (Text & {
    readonly how: "search";
    /** What may be it, by the modules' texts. */
    readonly exports: readonly TaskLocation[];
    /** Modules whose text the worker must look at, because they are on another host. */
    readonly unread: readonly string[];
  })
  | (Text & Needs & { readonly how: "source" });

/** What a function's text has in it that must be seen to before it runs. */
export interface Needs {
  /** Where it says `import()`. */
  readonly imports?: readonly number[];
  /** Global names that a worker has, and that mean nothing in the program. */
  readonly ofWorkers?: readonly string[];
}

/** A function that is sent as its text, or with it. */
export type Sent = Exclude<Definition, { how: "reference" }>;

/** A function's own text, and where it comes from. */
interface Text {
  readonly name: string;
  readonly source: string;
  /** Names that mean something else where it comes from than they do in a worker; present where there are some. */
  readonly hidden?: readonly string[];
  /** Where relative specifiers in it lead from; present where it imports something. */
  readonly base?: string;
  /** What to do where the text does not do; present where something hinders to find an export. */
  readonly mend?: string;
}

/** A text that is equal for definitions which get the same function. */
export function definitionKey(definition: Definition): string {
  return JSON.stringify(definition);
}

/** What to do where a function cannot be sent as its text, and nothing hinders to find an export. */
export const MEND = "export the function from its module, use taskRef(), or pass what it uses as arguments";

/** The URLs of the modules that a worker may have to import for a function. */
export function modulesOf(definition: Definition): readonly string[] {
  switch (definition.how) {
    case "reference":
      return [definition.module];
    case "search":
      return [...new Set([...definition.exports.map(({ module }) => module), ...definition.unread])];
    case "source":
      return [];
  }
}
