/**
 * What is known of a task's function on both sides.
 *
 * @module
 */

/** How a worker gets a function. */
export type Definition =
  | {
    readonly how: "reference";
    readonly name: string;
    readonly module: string;
    readonly path: string;
  }
  | {
    readonly how: "search";
    readonly name: string;
    readonly source: string;
    /** URLs of the modules that may export it, the likeliest first. */
    readonly modules: readonly string[];
  }
  | {
    readonly how: "source";
    readonly name: string;
    readonly source: string;
  };

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
      return definition.modules;
    case "source":
      return [];
  }
}
