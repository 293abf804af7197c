type OneOrMore = string | readonly string[];

export interface ParseOptions {
  "--"?: boolean;
  alias?: Record<string, OneOrMore>;
  boolean?: boolean | OneOrMore;
  collect?: OneOrMore;
  default?: Record<string, unknown>;
  negatable?: OneOrMore;
  stopEarly?: boolean;
  string?: OneOrMore;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The names in an option that takes one name or a list of them. */
type Names<T> = T extends readonly (infer N extends string)[] ? N : T extends string ? T : never;

/** The names in one option of `O`, and all that are aliases of them, or they of those. */
type NamesOf<O extends ParseOptions, K extends keyof ParseOptions> =
  | Names<O[K]>
  | {
    [A in keyof O["alias"]]:
      | (A extends Names<O[K]> ? Names<O["alias"][A]> : never)
      | (Names<O["alias"][A]> & Names<O[K]> extends never ? never : A);
  }[keyof O["alias"]];

/** The type of a default: the options are read as literals. */
type Widen<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T;

/** What a name has when it is not on the command line. */
type Default<O extends ParseOptions, N extends PropertyKey, Absent> = N extends keyof O["default"]
  ? Widen<O["default"][N]>
  : Absent;

type Value<O extends ParseOptions, N extends PropertyKey, T, Absent> = N extends NamesOf<O, "collect"> ? T[]
  : T | Default<O, N, Absent>;

type Parsed<O extends ParseOptions> =
  & { [x: string]: unknown; _: (string | number)[] }
  & { [N in NamesOf<O, "string"> as N extends string ? N : never]: Value<O, N, string, undefined> }
  & { [N in NamesOf<O, "boolean"> as N extends string ? N : never]: Value<O, N, boolean, never> }
  & (O["--"] extends true ? { "--": string[] } : unknown);

// deno-lint-ignore no-explicit-any -- as the original has it: without options nothing is known of the flags
export function parseArgs(args: readonly string[]): { [x: string]: any; _: (string | number)[] };
export function parseArgs<const O extends ParseOptions>(args: readonly string[], options: O): Parsed<O>;
