/**
 * What both sides know of a task's function.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
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
    /** The exports that may be the function, by the texts of their modules. */
    readonly exports: readonly TaskLocation[];
    /** Modules whose texts the worker must look at, because they are on another host. */
    readonly unread: readonly string[];
  })
  | (Text & Needs & { readonly how: "source" });

/** What of a function's text a worker must see to before it runs. */
export interface Needs {
  /** The places of its `import()`. */
  readonly imports?: readonly number[];
  /** Global names in it that workers have, and that mean nothing in the program. */
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
  /** The URL to which specifiers in it are relative; present where it imports something. */
  readonly base?: string;
  /** What the user can do if the text cannot run alone; present where something hinders the search for an export. */
  readonly mend?: string;
}

/** A text that is the same for definitions of the same function. */
export function definitionKey(definition: Definition): string {
  return JSON.stringify(definition);
}

/** What the user can do if the text cannot run alone, where nothing hinders the search for an export. */
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

/** The error of a function whose text alone is not enough. */
export function notSendable(name: string, source: string, problem: string, mend: string): TaskNotFoundError {
  return new TaskNotFoundError(
    `Cannot send the function ${name || "(anonymous)"} as source text, because ${problem}. To fix it, ${mend}. ` +
      `Its text begins: ${source.slice(0, 80)}`,
  );
}

/** The error of a function that may be one of several. */
export function ambiguous(name: string, why: string, urls: readonly string[]): TaskNotFoundError {
  return new TaskNotFoundError(
    `Cannot tell which function ${name} is meant, because ${why}. To fix it, use taskRef(). ` +
      `Found in: ${urls.join(", ")}`,
    [...urls],
  );
}
