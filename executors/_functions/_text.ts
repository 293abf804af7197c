/**
 * What a function's own text says of its needs: names, `this`, imports.
 *
 * @module
 */

import { MEND, type Needs, notSendable } from "./definition.ts";
import { closing, is, type Token, tokenize } from "./_tokens.ts";

/** Global names that workers have, and that mean nothing in the program, where the text comes from. */
const OF_WORKERS = ["name", "onmessage", "postMessage"];

/** How a function is written. */
export type Form = "arrow" | "function" | "class" | "method";

/** A function's text, taken apart. */
export class FunctionText {
  readonly #source: string;
  readonly tokens: readonly Token[];
  readonly form: Form;

  constructor(source: string) {
    this.#source = source;
    this.tokens = tokenize(source);
    this.form = formOf(this.tokens);
  }

  /**
   * What a worker must see to before the function runs alone.
   *
   * @throws {TaskNotFoundError} It uses what cannot be sent with it.
   */
  needs(name: string, mend: string | undefined): Needs {
    const refuse = (problem: string, usualMend: string) => {
      throw notSendable(name, this.#source, problem, mend ?? usualMend);
    };
    if (this.usesThis) {
      refuse(
        "it uses this, which is not sent with it",
        "pass what it needs as arguments of a function without this, or name a static method by taskRef()",
      );
    }
    if (this.usesImportMeta) refuse("it uses import.meta, which only a module has", MEND);
    const imports = this.imports.map(({ start }) => start);
    // `typeof` is no use of the name: functions find out by it whether they run in a worker.
    const ofWorkers = OF_WORKERS.filter((name) =>
      this.tokens.some((token, i) => token.kind === "name" && token.text === name && !is(this.tokens[i - 1], "typeof"))
    );
    return {
      ...(imports.length === 0 ? {} : { imports }),
      ...(ofWorkers.length === 0 ? {} : { ofWorkers }),
    };
  }

  /** Whether it imports something, or asks where its module is. */
  get needsModule(): boolean {
    return this.usesImportMeta || this.imports.length > 0;
  }

  /** Whether it contains `import.meta`. */
  get usesImportMeta(): boolean {
    const { tokens } = this;
    return tokens.some((token, i) => is(token, "import") && is(tokens[i + 1], ".") && is(tokens[i + 2], "meta"));
  }

  /** The places of its `import()`. */
  get imports(): Token[] {
    const { tokens } = this;
    return tokens.filter((token, i) =>
      is(token, "import") && is(tokens[i + 1], "(") && !is(tokens[i - 1], ".", "?.") &&
      !is(tokens[closing(tokens, i + 1) + 1], "{")
    );
  }

  /** Whether it takes `this` or `super` from around it, or from the object whose method it is. */
  get usesThis(): boolean {
    if (this.form !== "arrow" && this.form !== "method") return false;
    const { tokens } = this;
    /** For each open bracket, whether what it encloses has its own `this`. */
    const open: boolean[] = [];
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i];
      if (is(token, "(", "[", "{", "${")) {
        // The function's own parameters and body are not a function inside of it.
        const isOwn = open.length > 0 || this.form === "arrow";
        open.push(open.at(-1) === true || (isOwn && ownsThis(tokens, i)));
      } else if (is(token, ")", "]", "}")) open.pop();
      else if (is(token, "this", "super") && open.at(-1) !== true && !isProperty(tokens, i)) return true;
    }
    return false;
  }

  /** The names that it may take from around it; some of them may be its own. */
  freeNames(): Set<string> {
    const { tokens } = this;
    const own = this.#ownNames();
    const free = new Set<string>();
    tokens.forEach(({ kind, text }, i) => {
      if (kind !== "name" || text.startsWith("#") || KEYWORDS.has(text) || own.has(text) || isProperty(tokens, i)) {
        return;
      }
      free.add(text);
    });
    return free;
  }

  #ownNames(): Set<string> {
    const { tokens } = this;
    const own = new Set<string>();
    const addAll = (from: number, to: number) => {
      for (let i = Math.max(0, from); i < to; i++) {
        if (tokens[i].kind === "name" && !is(tokens[i + 1], ":")) own.add(tokens[i].text);
      }
    };
    if (this.form === "method") addAll(0, tokens.findIndex((token) => is(token, "(")));
    for (let i = 0; i < tokens.length; i++) {
      if (is(tokens[i + 1], "=>") && tokens[i].kind === "name") own.add(tokens[i].text);
      else if (is(tokens[i], "function", "class") && !is(tokens[i - 1], ".")) {
        const name = tokens[is(tokens[i + 1], "*") ? i + 2 : i + 1];
        if (name?.kind === "name") own.add(name.text);
      } else if (is(tokens[i], "const", "let", "var")) {
        for (let at = i; at < tokens.length && !is(tokens[at], ";");) {
          const end = endOfNames(tokens, at + 1);
          addAll(at + 1, end);
          at = is(tokens[end], "=") ? endOfValue(tokens, end) : tokens.length;
        }
      } else if (is(tokens[i], "(")) {
        const end = closing(tokens, i);
        if (is(tokens[end + 1], "=>")) addAll(i + 1, end);
        else if (is(tokens[end + 1], "{") && !isHead(tokens, i)) {
          // This takes in the name of the method, too.
          addAll(i - 1, end);
        }
      }
    }
    return own;
  }
}

const KEYWORDS = new Set(
  ("arguments as async await break case catch class const continue debugger default delete do else enum export " +
    "extends false finally for from function get if import in instanceof let new null of return set static super " +
    "switch this throw true try typeof undefined var void while with yield target NaN Infinity").split(" "),
);

function formOf(tokens: readonly Token[]): Form {
  const i = is(tokens[0], "async") && tokens.length > 1 && !is(tokens[1], "=>", "(") ? 1 : 0;
  if (is(tokens[i], "function")) return "function";
  if (is(tokens[i], "class") && !is(tokens[i + 1], "(")) return "class";
  if (is(tokens[i + 1], "=>")) return "arrow";
  const open = is(tokens[i], "async") ? i + 1 : i;
  return is(tokens[open], "(") && is(tokens[closing(tokens, open) + 1], "=>") ? "arrow" : "method";
}

/** Whether a name is that of a property, not of a variable. */
function isProperty(tokens: readonly Token[], i: number): boolean {
  return is(tokens[i - 1], ".", "?.") || is(tokens[i + 1], ":") && is(tokens[i - 1], "{", ",");
}

/** Whether a bracket opens the parameters or the body of a function with its own `this`, or the body of a class. */
function ownsThis(tokens: readonly Token[], i: number): boolean {
  if (is(tokens[i], "(")) return is(tokens[closing(tokens, i) + 1], "{") && !isHead(tokens, i) && !isCatch(tokens, i);
  if (!is(tokens[i], "{")) return false;
  if (is(tokens[i - 1], ")")) {
    const open = opening(tokens, i - 1);
    return !isHead(tokens, open) && !isCatch(tokens, open);
  }
  for (let back = i - 1; back >= 0 && (tokens[back].kind === "name" || is(tokens[back], ".")); back--) {
    if (is(tokens[back], "class")) return true;
  }
  return false;
}

/** Whether parentheses are those of a statement, not of parameters or of a call. */
function isHead(tokens: readonly Token[], open: number): boolean {
  return is(tokens[open - 1], "if", "for", "while", "switch", "with") && !is(tokens[open - 2], ".") ||
    is(tokens[open - 1], "await") && is(tokens[open - 2], "for");
}

function isCatch(tokens: readonly Token[], open: number): boolean {
  return is(tokens[open - 1], "catch") && !is(tokens[open - 2], ".");
}

function opening(tokens: readonly Token[], close: number): number {
  let depth = 0;
  for (let i = close; i >= 0; i--) {
    if (is(tokens[i], ")", "]", "}")) depth++;
    else if (is(tokens[i], "(", "[", "{", "${") && --depth === 0) return i;
  }
  return 0;
}

/** The comma after a value, or the end of its statement. */
function endOfValue(tokens: readonly Token[], from: number): number {
  for (let i = from; i < tokens.length; i++) {
    if (is(tokens[i], "(", "{", "[", "${")) i = closing(tokens, i);
    else if (is(tokens[i], ",", ";", ")", "}", "]")) return is(tokens[i], ",") ? i : tokens.length;
  }
  return tokens.length;
}

/** Where a declaration's names end: those of an initializer are not among them. */
function endOfNames(tokens: readonly Token[], from: number): number {
  for (let i = from; i < tokens.length; i++) {
    if (is(tokens[i], "{", "[")) i = closing(tokens, i);
    else if (is(tokens[i], "=", ";", "of", "in", ")")) return i;
  }
  return tokens.length;
}
