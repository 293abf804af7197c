/**
 * The command lines of the examples: a program lists its options, and this reads them and writes the text of `--help`.
 *
 * @module
 */

import { parseArgs } from "node:util";

/** How a program reads a value. */
export interface Reader<T> {
  /** What the value must be; it follows the word "expected". */
  wanted: string;
  /** Returns the value, or `undefined` if the text is not what is wanted. */
  read(text: string): T | undefined;
}

/** An option that is there or not. */
export interface Switch {
  /** Its letter. */
  short?: string;
  /** What it does, for `--help`. */
  text: string;
}

/** An option with a value. */
export interface Setting extends Switch {
  /** What `--help` calls the value, such as `N`. */
  value: string;
  reads: Reader<unknown>;
  /** The value of an option that is not given. Without it, that is `undefined`. */
  default?: string;
  /** Another name of the option. */
  alias?: string;
}

/** By their names. */
export type Options = Record<string, Switch | Setting>;

type ValueOf<O> = O extends { reads: Reader<infer T> } ? O extends { default: string } ? T : T | undefined : boolean;

/** What a program gets: a value for each option, and what stands beside the options. */
type Values<O extends Options, T> = { -readonly [K in keyof O]: ValueOf<O[K]> } & { operands: T[] };

/** The command line of a program. */
export interface CommandLine<O extends Options, T> {
  /** What the program does. */
  about: string;
  /** The command that runs it, without options. */
  command: string;
  /** What `--help` adds to the command as an example. */
  example?: string;
  options?: O;
  /** What may stand beside the options. */
  operands?: { value: string; text: string; reads: Reader<T> };
  /** Calls {@linkcode refuse} if the values do not fit together. */
  check?(values: Values<O, T>): void;
}

/** Declares a command line, so that TypeScript knows the types of its values. */
export function commandLine<const O extends Options = Record<never, never>, T = never>(command: CommandLine<O, T>) {
  return command;
}

/** Reads the command line of this program. Ends the program after `--help`, and if an option cannot be used. */
export function readOptions<O extends Options, T>(command: CommandLine<O, T>): Values<O, T> {
  try {
    const values = parse(command, Deno.args);
    if (values !== undefined) return values;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
  console.log(helpOf(command));
  Deno.exit(0);
}

/** Runs the parts of a program that are named, or else all, with an empty line between what they print. */
export async function runParts<N extends string, A extends unknown[]>(
  parts: Readonly<Record<N, (...args: A) => void | Promise<void>>>,
  named: readonly N[],
  ...args: A
): Promise<void> {
  for (const [i, part] of (named.length > 0 ? named : Object.keys(parts) as N[]).entries()) {
    if (i > 0) console.log();
    await parts[part](...args);
    if (Deno.exitCode !== 0) break; // such as after Ctrl-C
  }
}

/** A command line that cannot be used. */
export class UsageError extends Error {}

/** Refuses what was given on the command line, and says what the program wants instead. */
export function refuse(given: string, wanted: string): never {
  throw new UsageError(`Cannot use ${given}: expected ${wanted}; see --help`);
}

const HELP: Switch = { short: "h", text: "print this text" };

/** Returns the values of a command line, or `undefined` if it asks for help. */
export function parse<O extends Options, T>(command: CommandLine<O, T>, args: string[]): Values<O, T> | undefined {
  const options: Options = { ...command.options, help: HELP };
  const nameOf = new Map<string, string>();
  for (const [name, option] of Object.entries(options)) {
    nameOf.set(name, name);
    if ("alias" in option && option.alias !== undefined) nameOf.set(option.alias, name);
  }
  const config = [...nameOf].map(([given, name]) => {
    const { short } = options[name];
    const type = "reads" in options[name] ? "string" as const : "boolean" as const;
    return [given, given === name && short !== undefined ? { type, short } : { type }];
  });
  const { tokens } = parseArgs({
    args,
    options: Object.fromEntries(config),
    strict: false, // The messages are made here.
    tokens: true,
    allowPositionals: true,
  });

  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(command.options ?? {})) {
    if (!("reads" in option)) values[name] = false;
    else if (option.default !== undefined) values[name] = option.reads.read(option.default);
  }
  if (tokens.some((token) => token.kind === "option" && token.name === "help" && !token.inlineValue)) return undefined;
  const names = Object.keys(options).map((name) => `--${name}`);
  const wanted = names.length === 1 ? `no options but ${names}` : `one of ${names.join(", ")}`;
  const operands: T[] = [];
  for (const token of tokens) {
    if (token.kind === "option") {
      const name = nameOf.get(token.name) ?? refuse(token.rawName, wanted);
      values[name] = valueOf(name, options[name], token);
    } else if (token.kind === "positional") {
      const { reads } = command.operands ?? refuse(`"${token.value}"`, wanted);
      operands.push(reads.read(token.value) ?? refuse(`"${token.value}"`, reads.wanted));
    }
  }
  const all = { ...values, operands } as Values<O, T>;
  command.check?.(all);
  return all;
}

/** The value of an option that was given. */
function valueOf(name: string, option: Switch | Setting, token: { value?: string; inlineValue?: boolean }): unknown {
  const { value } = token;
  if (!("reads" in option)) {
    return value === undefined ? true : refuse(`--${name}=${value}`, `--${name}, which takes no value`);
  }
  // A value that begins with a dash is the next option, unless it is a number.
  if (value === undefined || (!token.inlineValue && /^-[^\d]/.test(value))) {
    return refuse(`--${name} without a value`, option.reads.wanted);
  }
  return option.reads.read(value) ?? refuse(`--${name} "${value}"`, option.reads.wanted);
}

// ---- the text of --help -------------------------------------------------------------------------------------------

const COLUMNS = 80;

/** Returns what `--help` prints. */
export function helpOf<O extends Options, T>(line: CommandLine<O, T>): string {
  const { about, command, example = "", options, operands } = line;
  const rows = Object.entries({ ...options, help: HELP } as Options).map(([name, option]) => {
    const letter = option.short === undefined ? "    " : `-${option.short}, `;
    if (!("reads" in option)) return [`${letter}--${name}`, option.text];
    const byDefault = option.default === undefined ? "" : ` (default ${option.default})`;
    // The lines below the first one are a table.
    return [`${letter}--${name} ${option.value}`, option.text.replace(/$/m, byDefault)];
  });
  const beside = operands === undefined ? [] : [[operands.value, operands.text]];
  const indent = Math.max(...[...rows, ...beside].map(([names]) => names.length)) + 4;
  const aligned = ([names, text]: string[]) =>
    wrap(text, COLUMNS - indent).map((part, i) => (i === 0 ? `  ${names}` : "").padEnd(indent) + part);
  return [
    ...wrap(about, COLUMNS),
    "",
    "Usage:",
    `  ${command} [options]${operands === undefined ? "" : ` [${operands.value}...]`}`,
    "",
    ...(operands === undefined ? [] : ["Arguments:", ...beside.flatMap(aligned), ""]),
    "Options:",
    ...rows.flatMap(aligned),
    "",
    "Example:",
    `  ${command} ${example}`.trimEnd(),
  ].join("\n");
}

/** Breaks a text into lines of at most `columns` characters. */
function wrap(text: string, columns: number): string[] {
  const parts = new RegExp(`.{1,${columns}}(?= |$)`, "g");
  return text.split("\n").flatMap((line) => line.match(parts)!.map((part, i) => i === 0 ? part : part.trimStart()));
}

// ---- what values are ----------------------------------------------------------------------------------------------

/** A whole number from `min` up, or to `max`. */
export function wholeNumber(min: number, max?: number): Reader<number> {
  return {
    wanted: `a whole number from ${min} ${max === undefined ? "up" : `to ${max}`}`,
    read(text) {
      const fits = /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= (max ?? Infinity);
      return fits ? Number(text) : undefined;
    },
  };
}

/** Whole numbers, such as `1,2,4`. */
export function wholeNumbers(min: number, max: number): Reader<number[]> {
  return {
    wanted: `whole numbers from ${min} to ${max}, with commas in between`,
    read(text) {
      const numbers = text.split(",").map((number) => wholeNumber(min, max).read(number));
      return numbers.every((number) => number !== undefined) ? numbers : undefined;
    },
  };
}

/** A number, of a unit if there is one, that may have a fraction. */
export function numberFrom(min: number, max: number, unit = ""): Reader<number> {
  return {
    wanted: `a number${unit && ` of ${unit}`} from ${min} to ${max}`,
    read(text) {
      const fits = /^\d*\.?\d+$/.test(text) && Number(text) >= min && Number(text) <= max;
      return fits ? Number(text) : undefined;
    },
  };
}

/** One of some names, in small or capital letters. */
export function oneOf<N extends string>(names: readonly N[]): Reader<N> {
  return {
    wanted: `one of ${names.join(", ")}`,
    read: (text) => names.find((name) => name.toLowerCase() === text.toLowerCase()),
  };
}

/** The name of a directory, which need not exist. */
export const directory: Reader<string> = {
  wanted: "the name of a directory",
  read: (text) => text === "" ? undefined : text,
};

/** A URL with one of these protocols, without slashes at its end. */
export function urlOf(...protocols: string[]): Reader<string> {
  return {
    wanted: `a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(" or ")}`,
    read(text) {
      const fits = protocols.some((protocol) => URL.parse(text)?.protocol === `${protocol}:`);
      return fits ? text.replace(/\/+$/, "") : undefined;
    },
  };
}

// ---- options that several programs have ---------------------------------------------------------------------------

/** What runs the jobs of a program that compares. */
export const EXECUTOR = {
  short: "x",
  value: "NAME",
  text: "what runs the jobs: processes or threads",
  reads: oneOf(["processes", "threads"]),
  default: "processes",
};

/** With how many workers a program runs its jobs, one number after the other: up to one for each job. */
export function workersFor(jobs: number) {
  const cores = Math.min(navigator.hardwareConcurrency, jobs);
  return {
    short: "w",
    value: "N,N,...",
    text: "how many of them; the table has a line for each of these numbers",
    reads: wholeNumbers(1, jobs),
    default: Array.from({ length: cores }, (_, i) => i + 1).join(),
  };
}

/** How much a job computes. */
export function rounds(text: string) {
  return { short: "n", value: "N", text, reads: wholeNumber(1, 999_999), default: "300" };
}

/** The server of a cluster. */
export const REDIS = {
  value: "URL",
  text: "the server",
  reads: urlOf("redis", "rediss"),
  default: "redis://127.0.0.1:6379",
};
