/** The published pages with examples that run. */

const ROOT = new URL("../", import.meta.url);

/** Where the repository is: published pages and doc comments lead from there to what is not published. */
export const REPOSITORY = "https://github.com/concurrent-futures/futures";

/**
 * Where examples leave something behind on purpose: the threads of the pool that `parallel` shares end by themselves, a
 * second after the last task. So these examples run apart from all others, and Deno does not look for leaks in them.
 * `tests/parallel` does.
 */
export const LINGERING = "executors/parallel";

/** The environment of `deno test` that looks for no leaks. */
export const NO_SANITIZERS = { DENO_TEST_SANITIZE_OPS: "0", DENO_TEST_SANITIZE_RESOURCES: "0" };

function* pagesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`./${folder}`, ROOT))) {
    if (isDirectory && (folder !== "" || name === "futures" || name === "executors")) {
      yield* pagesIn(`${folder}${name}/`);
    } else if (name.endsWith(".md") && /^```ts$/m.test(Deno.readTextFileSync(new URL(folder + name, ROOT)))) {
      yield folder + name;
    }
  }
}

/** Their paths. */
export const PAGES: readonly string[] = [...pagesIn("")].sort();
