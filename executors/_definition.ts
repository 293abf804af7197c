/**
 * What is known of a task's function on both sides.
 *
 * @module
 */

import type { TaskLocation } from "./task_ref.ts";

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
  | (Text & { readonly how: "source" });

/** A function's own text, and what it needs to run alone. */
interface Text {
  readonly name: string;
  readonly source: string;
  /** Names that mean something else where it comes from than they do in a worker; present where there are some. */
  readonly hidden?: readonly string[];
  /** Where relative specifiers in it lead from; present where it imports something. */
  readonly base?: string;
  /** The module on whose exports nothing is known, because the program may not read it. */
  readonly unreadable?: string;
}

/** A text that is equal for definitions which get the same function. */
export function definitionKey(definition: Definition): string {
  return JSON.stringify(definition);
}

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
