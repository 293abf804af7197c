/**
 * The examples in pages and doc comments, as tests of one program. `deno test --doc` makes a program of each: it starts
 * an isolate of Deno with all modules for some lines, which takes 0.2 s of CPU.
 */

const ROOT = new URL("../", import.meta.url);

/** An example, as it stands in a file. */
export interface Example {
  /** The file's path from the root of the repository. */
  readonly path: string;
  /** Its first line in the file, without the fence, and its last one. */
  readonly first: number;
  readonly last: number;
  readonly lines: readonly string[];
}

/** The blocks of a page, or of the doc comments of a module, that begin with exactly `ts` behind the fence. */
export function examplesIn(path: string, text: string): Example[] {
  const isPage = path.endsWith(".md");
  const examples: Example[] = [];
  let lines: string[] | undefined;
  for (const [i, whole] of text.replaceAll("\r\n", "\n").split("\n").entries()) {
    const line = isPage ? whole : /^ *\*(?: (.*))?$/.exec(whole)?.[1] ?? "";
    if (lines === undefined) {
      if (line === "```ts") lines = [];
    } else if (line === "```") {
      examples.push({ path, first: i + 1 - lines.length, last: i, lines });
      lines = undefined;
    } else lines.push(line);
  }
  return examples;
}

/** The name of an example's test: the file, and the lines. */
export function nameOf({ path, first, last }: Example): string {
  return `${path}#${first}-${last}`;
}

/**
 * A module that registers an example as a test. Its imports come first, and all else is in the test's function, unless
 * it has tests of its own. Each line has its number, so that errors tell where it is.
 */
export function moduleOf(example: Example): string {
  const imports: string[] = [];
  const body = example.lines.join("\n").replace(/^import\b[^;]*;/gm, (text) => {
    imports.push(text.replaceAll(/\s+/g, " "));
    return text.replaceAll(/[^\n]/g, "");
  }).replace(/^export /gm, "")
    // The repository's deno.json says nothing of what is imported by a module that lies elsewhere.
    .replace(/(?<=\bimport\(")@[^"]+/g, (name) => import.meta.resolve(name));
  const head = `${imports.join(" ")} Deno.test(${JSON.stringify(nameOf(example))}, async () => {`;
  const before = "\n".repeat(example.first - 1);
  return /^Deno\.test\(/m.test(body) ? `${head}});${before}${body}\n` : `${head}${before}${body}\n});\n`;
}

/** Writes the examples of some files into a folder, and returns the path of the module that runs all of them. */
export function writeExamples(paths: readonly string[], folder: string): string {
  const examples = paths.flatMap((path) => examplesIn(path, Deno.readTextFileSync(new URL(path, ROOT))));
  const names = examples.map((example) => {
    const name = `${nameOf(example).replaceAll("/", "_")}.ts`.replace("#", "$");
    Deno.writeTextFileSync(`${folder}/${name}`, moduleOf(example));
    return name;
  });
  const main = `${folder}/examples_test.ts`;
  Deno.writeTextFileSync(main, names.map((name) => `import ${JSON.stringify(`./${name}`)};\n`).join(""));
  return main;
}
