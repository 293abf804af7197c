/**
 * JavaScript and TypeScript text as a list of tokens. The tokenizer knows strings, templates, regular expressions and
 * comments, so that it never takes their content for code; it knows no grammar.
 *
 * @module
 */

/** `name` includes keywords and private names. */
export type TokenKind = "name" | "number" | "string" | "regex" | "mark";

/** A piece of text that means something. */
export interface Token {
  readonly kind: TokenKind;
  /** The token as it stands in the text; of a string, what is between the quotes, with its escapes. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const MARK = 0, SPACE = 1, NAME = 2, DIGIT = 3, QUOTE = 4;

/** What each character of ASCII begins. To look here takes a tenth of the time of a regular expression. */
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (code <= 32) return SPACE;
  if (/\d/.test(character)) return DIGIT;
  if (/[\w$#@\\]/.test(character)) return NAME;
  return character === '"' || character === "'" ? QUOTE : MARK;
});

function kindAt(source: string, at: number): number {
  const code = source.charCodeAt(at);
  if (code < 128) return KINDS[code];
  return code === 0xa0 || code === 0xfeff || code === 0x2028 || code === 0x2029 ? SPACE : NAME;
}

const REGEX = /\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y;

/** Keywords after which a slash begins a regular expression. */
const OPERATORS = new Set(
  "return typeof instanceof in of new delete void throw case do else await yield default extends".split(" "),
);
/** Keywords whose parentheses are followed by a statement. */
const HEADS = new Set(["if", "while", "for", "with"]);

/**
 * Splits a text into tokens. A template becomes its first and its last mark, and between them what `${` and `}`
 * enclose.
 */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  const { length } = source;
  /** For each open bracket, which kind it is. */
  const open: string[] = [];
  let last: Token | undefined;
  let isHead = false;
  let at = 0;

  const add = (kind: TokenKind, start: number, text: string) => {
    tokens.push(last = { kind, text, start, end: at });
  };
  const addTemplate = () => {
    while (at < length && source[at] !== "`" && !source.startsWith("${", at)) at += source[at] === "\\" ? 2 : 1;
    const start = at;
    if (source[at] === "$") {
      open.push("template");
      at += 2;
      add("mark", start, "${");
    } else {
      at++;
      add("mark", start, "`");
    }
  };
  const addMark = (start: number) => {
    const mark = markAt(source, start);
    at = start + mark.length;
    if (mark === "(") open.push(last?.kind === "name" && HEADS.has(last.text) ? "head" : mark);
    else if (mark === "{" || mark === "[") open.push(mark);
    else if (mark === ")" || mark === "}" || mark === "]") {
      const opened = open.pop();
      isHead = opened === "head";
      add("mark", start, mark);
      if (opened === "template") addTemplate();
      return;
    }
    add("mark", start, mark);
    if (mark === "`") addTemplate();
  };

  if (source.startsWith("#!")) at = endOfLine(source, 0);
  while (at < length) {
    const start = at;
    switch (kindAt(source, at)) {
      case SPACE:
        at++;
        break;
      case NAME:
        at = endOfName(source, start);
        add("name", start, source.slice(start, at));
        break;
      case DIGIT:
        do at++; while (at < length && (isNamePart(source, at) || source[at] === "." || isExponentSign(source, at)));
        add("number", start, source.slice(start, at));
        break;
      case QUOTE:
        at = endOfString(source, start);
        // A quote without an end is an apostrophe in the text of JSX.
        if (at < 0) addMark(start);
        else add("string", start, source.slice(start + 1, at - 1));
        break;
      default:
        if (source[at] !== "/") addMark(start);
        else if (source[at + 1] === "/") at = endOfLine(source, at);
        else if (source[at + 1] === "*") {
          const end = source.indexOf("*/", at + 2);
          at = end < 0 ? length : end + 2;
        } else {
          REGEX.lastIndex = at;
          if (!mayBeRegex(last, isHead) || !REGEX.test(source)) addMark(start);
          else {
            at = REGEX.lastIndex;
            add("regex", start, source.slice(start, at));
          }
        }
    }
  }
  return tokens;
}

/** The mark at a place. Of those with several characters, this knows the ones that matter here. */
function markAt(source: string, at: number): string {
  const mark = source[at];
  const next = source[at + 1];
  if (mark === "=" && next === ">") return "=>";
  if (mark === "?" && next === "." && !/\d/.test(source[at + 2])) return "?.";
  return mark === "." && source.startsWith("...", at) ? "..." : mark;
}

function isNamePart(source: string, at: number): boolean {
  const kind = kindAt(source, at);
  return kind === NAME || kind === DIGIT;
}

function isExponentSign(source: string, at: number): boolean {
  return (source[at] === "+" || source[at] === "-") && (source[at - 1] === "e" || source[at - 1] === "E") &&
    source[at - 2] !== "x";
}

function endOfName(source: string, start: number): number {
  let at = start + 1;
  while (at < source.length && isNamePart(source, at)) at++;
  return at;
}

function endOfLine(source: string, at: number): number {
  const end = source.indexOf("\n", at);
  return end < 0 ? source.length : end;
}

function endOfString(source: string, start: number): number {
  const quote = source[start];
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === quote) return at + 1;
    if (source[at] === "\n") return -1;
    if (source[at] === "\\") at++;
  }
  return -1;
}

function mayBeRegex(last: Token | undefined, isHead: boolean): boolean {
  if (last === undefined) return true;
  if (last.kind === "name") return OPERATORS.has(last.text);
  if (last.kind !== "mark") return false;
  return last.text === ")" ? isHead : last.text !== "]" && last.text !== "`";
}

/** Whether a token is one of these keywords, marks or names, and not a string of that text. */
export function is(token: Token | undefined, ...texts: string[]): boolean {
  return token !== undefined && (token.kind === "name" || token.kind === "mark") && texts.includes(token.text);
}

/** The index of the bracket that closes the one at an index; the number of tokens where none does. */
export function closing(tokens: readonly Token[], index: number): number {
  let depth = 0;
  for (let i = index; i < tokens.length; i++) {
    const { kind, text } = tokens[i];
    if (kind !== "mark") continue;
    if (text === "(" || text === "[" || text === "{" || text === "${") depth++;
    else if ((text === ")" || text === "]" || text === "}") && --depth === 0) return i;
  }
  return tokens.length;
}
