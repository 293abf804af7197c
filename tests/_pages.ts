/** The published pages with examples that run. */

const ROOT = new URL("../", import.meta.url);

/** Where the repository is: published pages and doc comments lead from there to what is not published. */
export const REPOSITORY = "https://github.com/concurrent-futures/futures";

/** How many examples of a page run. */
export function examplesOf(text: string): number {
  return text.match(/^```ts$/gm)?.length ?? 0;
}

function* pagesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`./${folder}`, ROOT))) {
    if (isDirectory && (folder !== "" || name === "futures" || name === "executors")) {
      yield* pagesIn(`${folder}${name}/`);
    } else if (name.endsWith(".md") && examplesOf(Deno.readTextFileSync(new URL(folder + name, ROOT))) > 0) {
      yield folder + name;
    }
  }
}

/** Their paths. */
export const PAGES: readonly string[] = [...pagesIn("")].sort();
