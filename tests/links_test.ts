/** The links in Markdown files lead somewhere. */
import { assert, assertEquals } from "@std/assert";
import { test } from "./_helpers.ts";

const ROOT = new URL("../", import.meta.url);

/** All Markdown files of the project, by their paths. */
function* pages(folder = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`./${folder}`, ROOT))) {
    if (name.startsWith(".") || name === "node_modules") continue;
    if (isDirectory) yield* pages(`${folder}${name}/`);
    else if (name.endsWith(".md")) yield folder + name;
  }
}

function textOf(page: string | URL): string {
  return Deno.readTextFileSync(new URL(page, ROOT)).replaceAll("\r\n", "\n");
}

/** The names by which GitHub and JSR link to the headings of a page. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}

function leadsSomewhere(page: string, link: string): boolean {
  const { href, hash } = new URL(link, new URL(page, ROOT));
  try {
    const target = new URL(href.replace(/#.*/, ""));
    Deno.statSync(target);
    return hash === "" || anchorsOf(textOf(target)).includes(decodeURIComponent(hash.slice(1)));
  } catch {
    return false;
  }
}

test("Markdown: each link to a file or a heading leads there", () => {
  const dead: string[] = [];
  let count = 0;
  for (const page of pages()) {
    const text = textOf(page).replaceAll(/^( *)```[^]*?^\1```$/gm, "").replaceAll(/`[^`\n]+`/g, "code");
    for (const [, link] of text.matchAll(/\]\(([^()\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      count++;
      if (!leadsSomewhere(page, link)) dead.push(`${page}: ${link}`);
    }
  }
  assertEquals(dead, []);
  assert(count > 0);
});
