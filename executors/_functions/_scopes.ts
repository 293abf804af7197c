/**
 * What a module's text shows around a call of this library.
 *
 * @module
 */

import type { Outline } from "./_outline.ts";
import { closing, is, type Token } from "./_tokens.ts";

/** What the first argument of a call is. */
export type Argument =
  /** A function that stands there. */
  | { readonly kind: "function" }
  /** A variable, or a property of one. */
  | { readonly kind: "variable"; readonly path: readonly string[]; readonly isLocal: boolean }
  /** Something else. */
  | undefined;

/** A call of this library in a module's text. */
export interface Call {
  /** The index of the token after its parenthesis. */
  readonly at: number;
  /** Its first argument: the function, where the call submits a task. */
  readonly argument: Argument;
}

/** The call at a place of a module's text. */
export function callAt(
  { text, outline: { tokens } }: { text: string; outline: Outline },
  [line, column]: [line: number, column: number],
): Call | undefined {
  let position = column - 1;
  for (let i = 1, start = 0; i < line; i++) {
    const end = text.indexOf("\n", start);
    if (end < 0) return undefined;
    position += end + 1 - start;
    start = end + 1;
  }
  let i = tokens.findIndex(({ end }) => end > position);
  if (tokens[i]?.kind !== "name") return undefined;
  i++;
  // The arguments may follow types in angle brackets.
  if (is(tokens[i], "<")) { while (i < tokens.length && !is(tokens[i], "(", ";")) i++; }
  if (!is(tokens[i], "(")) return undefined;
  i++;
  return { at: i, argument: argumentAt(tokens, i) };
}

function argumentAt(tokens: readonly Token[], i: number): Argument {
  if (is(tokens[i], "function") || is(tokens[i + 1], "=>")) return { kind: "function" };
  if (is(tokens[i], "async") && (tokens[i + 1]?.kind === "name" || is(tokens[i + 1], "("))) return { kind: "function" };
  if (is(tokens[i], "(")) {
    return is(tokens[closing(tokens, i) + 1], "=>", ":") ? { kind: "function" } : undefined;
  }
  const path: string[] = [];
  for (let at = i; tokens[at]?.kind === "name"; at += 2) {
    path.push(tokens[at].text);
    if (is(tokens[at + 1], ",", ")")) return { kind: "variable", path, isLocal: isLocal(tokens, path[0], i) };
    if (!is(tokens[at + 1], ".")) return undefined;
  }
  return undefined;
}

/** Whether a name means, at a token, a variable of a function and not of the module. */
export function isLocal(tokens: readonly Token[], name: string, at: number): boolean {
  return declared(tokens, name).some((declaration) => {
    const open = enclosing(tokens, declaration);
    return open >= 0 && open < at && at < closing(tokens, open);
  });
}

/** The places that declare a variable or a function of a name. */
function declared(tokens: readonly Token[], name: string): number[] {
  return tokens.flatMap(({ kind, text }, i) =>
    kind === "name" && text === name &&
      (is(tokens[i - 1], "function", "const", "let", "var") ||
        is(tokens[i - 1], "*") && is(tokens[i - 2], "function"))
      ? [i]
      : []
  );
}

/** The index of the brace in which a token stands; −1 at the top level. */
function enclosing(tokens: readonly Token[], at: number): number {
  let depth = 0;
  for (let i = at - 1; i >= 0; i--) {
    if (is(tokens[i], "}", ")", "]")) depth++;
    else if (is(tokens[i], "{", "(", "[", "${") && --depth < 0) return i;
  }
  return -1;
}

/**
 * Whether a module declares a function of a name besides the one that it exports, if it exports one, whose text may
 * have the same names in it.
 */
export function declaresAnother(
  { tokens }: Outline,
  name: string,
  isExported: boolean,
  names: () => readonly string[],
): boolean {
  return declared(tokens, name).some((at) => (!isExported || enclosing(tokens, at) >= 0) && mayBe(tokens, at, names()));
}

/**
 * Whether the text from a declaration on may be that of a function. What runs has no types any more and little that is
 * new, so the names of the function must follow each other in the text.
 */
function mayBe(tokens: readonly Token[], declaration: number, names: readonly string[]): boolean {
  let at = Math.max(0, declaration - 2);
  const end = at + 4 * names.length + 100;
  return names.every((name) => {
    while (at < Math.min(end, tokens.length) && tokens[at].text !== name) at++;
    return at++ < Math.min(end, tokens.length);
  });
}
