/**
 * What a module's text says of functions: those that it exports, and those that it imports.
 *
 * @module
 */

import { closing, is, type Token, tokenize } from "./_tokens.ts";

/** What the value of a variable of a module is. */
export type Value =
  /** A function that stands there, and its own name. */
  | { readonly kind: "function"; readonly name: string }
  /** The value of another variable. */
  | { readonly kind: "alias"; readonly of: string }
  /** What an expression gives, which may be a function. */
  | { readonly kind: "computed" }
  /** No function. */
  | { readonly kind: "other" };

/** A name in another module; `"*"` stands for all of them. */
export interface Binding {
  readonly specifier: string;
  readonly name: string;
}

/** What a module's text says. */
export interface Outline {
  readonly tokens: readonly Token[];
  /** The variables at its top level. */
  readonly values: ReadonlyMap<string, Value>;
  /** What it imports, but for types, by the names that it has here. */
  readonly imports: ReadonlyMap<string, Binding>;
  /** What it exports: the name of a variable, or what stands in another module. */
  readonly exports: ReadonlyMap<string, string | Binding>;
  /** The modules that it exports everything of. */
  readonly reexported: readonly string[];
}

/** Stands for the name of a default export that has none; no variable can be called that. */
const DEFAULT = "*default*";

const STATEMENTS = ["export", "import", "const", "let", "var", "function", "class", "async", "type", "interface"];
const NO_FUNCTION = ["{", "[", "`", "-", "+", "!", "~", "new", "true", "false", "null", "undefined", "typeof", "void"];

/** Reads a module's text. */
export function outline(text: string): Outline {
  return new Reader(text).read();
}

class Reader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #values = new Map<string, Value>();
  readonly #imports = new Map<string, Binding>();
  readonly #exports = new Map<string, string | Binding>();
  readonly #reexported: string[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  read(): Outline {
    const tokens = this.#tokens;
    for (let i = 0; i < tokens.length; i++) {
      if (is(tokens[i], "(", "[", "{", "${")) i = this.#closing(i);
      else if (is(tokens[i], "import")) this.#import(i + 1);
      else if (is(tokens[i], "export")) this.#export(i + 1);
      else this.#declare(i);
    }
    const text = this.#text;
    let kept = new WeakRef(tokens);
    return {
      get tokens() {
        // They take many times the room of their text, and only the search for a new function needs them.
        const tokens = kept.deref() ?? tokenize(text);
        kept = new WeakRef(tokens);
        return tokens;
      },
      values: this.#values,
      imports: this.#imports,
      exports: this.#exports,
      reexported: this.#reexported,
    };
  }

  /**
   * The index of the bracket that closes the one at an index. The tokens know no JSX: a URL in its text is taken for a
   * comment, and so is a bracket behind it. What then seems to stay open ends before the next export.
   */
  #closing(i: number): number {
    const tokens = this.#tokens;
    const end = closing(tokens, i);
    if (end < tokens.length) return end;
    for (let next = i + 1; next < end; next++) {
      const { start } = tokens[next];
      if (is(tokens[next], "export") && this.#text[start - 1] === "\n") return next - 1;
    }
    return end;
  }

  #import(i: number): void {
    const tokens = this.#tokens;
    if (is(tokens[i], "(", ".")) return;
    if (is(tokens[i], "type", "defer", "source") && !is(tokens[i + 1], "from", ",")) return;
    const bindings: [local: string, name: string][] = [];
    if (tokens[i]?.kind === "name") {
      bindings.push([tokens[i++].text, "default"]);
      if (is(tokens[i], ",")) i++;
    }
    if (is(tokens[i], "*")) {
      bindings.push([tokens[i + 2]?.text ?? "", "*"]);
      i += 3;
    } else if (is(tokens[i], "{")) {
      for (const [name, local] of this.#list(i)) bindings.push([local, name]);
      i = closing(tokens, i) + 1;
    }
    const specifier = this.#from(i);
    if (specifier === undefined) return;
    for (const [local, name] of bindings) this.#imports.set(local, { specifier, name });
  }

  #export(i: number): void {
    const tokens = this.#tokens;
    if (is(tokens[i], "*")) {
      const isNamed = is(tokens[i + 1], "as");
      const specifier = this.#from(isNamed ? i + 3 : i + 1);
      if (specifier === undefined) return;
      if (isNamed) this.#exports.set(tokens[i + 2].text, { specifier, name: "*" });
      else this.#reexported.push(specifier);
    } else if (is(tokens[i], "{")) {
      const specifier = this.#from(closing(tokens, i) + 1);
      for (const [name, exported] of this.#list(i)) {
        this.#exports.set(exported, specifier === undefined ? name : { specifier, name });
      }
    } else if (is(tokens[i], "default")) {
      const [name] = this.#declare(i + 1);
      if (name === undefined) this.#values.set(DEFAULT, this.#valueAt(i + 1, "default"));
      this.#exports.set("default", name ?? DEFAULT);
    } else {
      for (const name of this.#declare(i)) this.#exports.set(name, name);
    }
  }

  /** The names in the braces at an index: each as it is called on this side and on the other one. */
  *#list(open: number): Generator<[name: string, as: string]> {
    const end = closing(this.#tokens, open);
    let i = open + 1;
    while (i < end) {
      const entry: Token[] = [];
      for (; i < end && !is(this.#tokens[i], ","); i++) entry.push(this.#tokens[i]);
      i++;
      if (entry.length === 0 || (is(entry[0], "type") && entry.length > 1 && !is(entry[1], "as"))) continue;
      yield [entry[0].text, entry.at(-1)!.text];
    }
  }

  #from(i: number): string | undefined {
    const specifier = this.#tokens[i + 1];
    return is(this.#tokens[i], "from") && specifier?.kind === "string" ? specifier.text : undefined;
  }

  /** Notes the variables that a statement declares, and returns their names; none where it declares nothing. */
  #declare(i: number): string[] {
    const tokens = this.#tokens;
    if (is(tokens[i - 1], "declare")) return [];
    if (is(tokens[i], "async", "abstract") && is(tokens[i + 1], "function", "class")) i++;
    if (is(tokens[i], "function", "class")) {
      const at = is(tokens[i + 1], "*") ? i + 2 : i + 1;
      const name = tokens[at];
      if (name?.kind !== "name" || is(name, "extends")) return [];
      this.#values.set(name.text, is(tokens[i], "class") ? { kind: "other" } : { kind: "function", name: name.text });
      return [name.text];
    }
    if (!is(tokens[i], "const", "let", "var") || is(tokens[i - 1], ".")) return [];
    const names: string[] = [];
    let at = i;
    do {
      at = this.#declareOne(at + 1, names);
    } while (is(tokens[at], ","));
    return names;
  }

  /** Notes a variable with its value, and returns the index of the token behind. */
  #declareOne(i: number, names: string[]): number {
    const tokens = this.#tokens;
    if (is(tokens[i], "{", "[")) {
      const end = closing(tokens, i);
      for (let inner = i + 1; inner < end; inner++) {
        // The value by default is skipped.
        if (is(tokens[inner], "=")) inner = this.#skip(inner + 1, ",", "]", "}");
        const { kind, text } = tokens[inner];
        if (kind !== "name" || is(tokens[inner + 1], ":")) continue;
        names.push(text);
        this.#values.set(text, { kind: "computed" });
      }
      return this.#skip(end + 1, ",");
    }
    if (tokens[i]?.kind !== "name" || !(is(tokens[i + 1], "=", ":", ",", ";", "!") || this.#isEnd(i + 1))) {
      return tokens.length;
    }
    const name = tokens[i].text;
    names.push(name);
    const assign = is(tokens[i + 1], "=") ? i + 1 : this.#skipType(i + 1);
    this.#values.set(name, is(tokens[assign], "=") ? this.#valueAt(assign + 1, name) : { kind: "computed" });
    return is(tokens[assign], "=") ? this.#skip(assign + 1, ",") : assign;
  }

  /** The index of the first of these marks, or of the end; those between the angle brackets of a type do not count. */
  #skip(i: number, ...marks: string[]): number {
    const tokens = this.#tokens;
    // In an expression these are no brackets: they compare.
    const isType = is(tokens[i], ":");
    let depth = 0;
    for (; i < tokens.length && !(depth === 0 && is(tokens[i], ";", ...marks)); i++) {
      if (is(tokens[i], "(", "[", "{", "${")) i = closing(tokens, i);
      else if (isType && is(tokens[i], "<")) depth++;
      else if (isType && /^>+$/.test(tokens[i].text)) depth = Math.max(0, depth - tokens[i].text.length);
      else if (is(tokens[i], ...STATEMENTS) && this.#isOnNewLine(i)) break;
    }
    return i;
  }

  /** The index of what follows a variable's type. The commas between angle brackets belong to the type. */
  #skipType(i: number): number {
    const tokens = this.#tokens;
    for (let depth = 0;; i++) {
      i = this.#skip(i, "<", ">", "=", ",");
      if (is(tokens[i], "<")) depth++;
      else if (is(tokens[i], ">")) depth--;
      else if (depth <= 0 || i >= tokens.length || is(tokens[i], ";")) return i;
    }
  }

  #valueAt(i: number, name: string): Value {
    const tokens = this.#tokens;
    if (is(tokens[i], "async") && !is(tokens[i + 1], "=>") && !this.#isOnNewLine(i + 1)) i++;
    const token = tokens[i];
    if (token === undefined) return { kind: "other" };
    if (is(token, "class")) return { kind: "other" };
    if (is(token, "function")) {
      const own = tokens[is(tokens[i + 1], "*") ? i + 2 : i + 1];
      return { kind: "function", name: own?.kind === "name" ? own.text : name };
    }
    if (is(token, "(")) {
      return is(tokens[closing(tokens, i) + 1], "=>", ":") ? { kind: "function", name } : { kind: "computed" };
    }
    if (is(token, "<") || is(tokens[i + 1], "=>")) return { kind: "function", name };
    if (token.kind !== "name" || is(token, ...NO_FUNCTION)) return { kind: is(token, "[") ? "computed" : "other" };
    return this.#isEnd(i + 1) || is(tokens[i + 1], ",") ? { kind: "alias", of: token.text } : { kind: "computed" };
  }

  /** Whether a statement ends before a token. */
  #isEnd(i: number): boolean {
    const token = this.#tokens[i];
    if (token === undefined || is(token, ";")) return true;
    return this.#isOnNewLine(i) && (token.kind === "name" || token.kind === "string" || is(token, "}", "@"));
  }

  #isOnNewLine(i: number): boolean {
    const tokens = this.#tokens;
    return i > 0 && i < tokens.length && this.#text.slice(tokens[i - 1].end, tokens[i].start).includes("\n");
  }
}

/** Whether a module may use the value of a name that it imports, not only its type. */
export function usesValue({ tokens }: Outline, local: string): boolean {
  return tokens.some((token, i) =>
    token.kind === "name" && token.text === local &&
    !is(tokens[i - 1], ".", "?.", "typeof", "as", "function", "const", "let", "var") &&
    !isMember(tokens, i) && !isInImport(tokens, i)
  );
}

/** Whether a name defines a property or a method. */
function isMember(tokens: readonly Token[], i: number): boolean {
  const isFirst = is(tokens[i - 1], "{", "}", ",", ";", "async", "static", "*");
  if (!is(tokens[i + 1], "(")) return isFirst && is(tokens[i + 1], ":");
  const after = tokens[closing(tokens, i + 1) + 1];
  return is(after, "{") || isFirst && is(after, ":");
}

/**
 * Whether a module certainly uses the value of a name that it imports, so that the program has loaded the module that
 * exports it: TypeScript leaves out imports of which only types are used.
 */
export function certainlyUsesValue({ tokens }: Outline, local: string): boolean {
  return tokens.some((token, i) =>
    token.kind === "name" && token.text === local && (
      is(tokens[i - 1], "(") && is(tokens[i + 1], ",", ")", ".") ||
      is(tokens[i + 1], "(", ".") && is(tokens[i - 1], "=>", "=", ";", "return", "await", "[", "{", "}", ",")
    )
  );
}

/** Whether a name stands in the braces of an import. */
function isInImport(tokens: readonly Token[], i: number): boolean {
  while (i > 0 && (tokens[i].kind === "name" && !is(tokens[i], "import") || is(tokens[i], ",", "{", "*"))) i--;
  return is(tokens[i], "import");
}
