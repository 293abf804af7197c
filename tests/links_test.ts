/** The links in Markdown pages and doc comments lead somewhere, also for those who have only the published files. */
import { assert, assertEquals } from "@std/assert";
import { test } from "./_helpers.ts";
import { REPOSITORY } from "./_pages.ts";

const ROOT = new URL("../", import.meta.url);

/** What links to files of the repository begin with. */
const IN_REPOSITORY = new RegExp(`^${RegExp.escape(REPOSITORY)}/(?:blob|tree|raw)/main/`);

/** Folders that are no part of the repository: installed packages, and those that Git ignores. */
const OUTSIDE = new Set(
  Deno.readTextFileSync(new URL(".gitignore", ROOT)).split("\n").flatMap((line) =>
    /^\/?([^#/]+)\/?$/.exec(line)?.[1] ?? []
  ),
);

interface Link {
  /** The page or module that it stands in, by its path. */
  readonly from: string;
  readonly href: string;
}

/** The pages and modules of the project, by their paths. */
function* files(folder = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`./${folder}`, ROOT))) {
    if (name.startsWith(".") || OUTSIDE.has(name)) continue;
    if (isDirectory) yield* files(`${folder}${name}/`);
    else if (/\.(md|ts)$/.test(name)) yield folder + name;
  }
}

function textOf(file: string | URL): string {
  return Deno.readTextFileSync(new URL(file, ROOT)).replaceAll("\r\n", "\n");
}

/** The doc comments of a module, as Markdown. */
function docsIn(source: string): string {
  return [...source.matchAll(/^ *\/\*\*[^]*?\*\//gm)].map(([comment]) =>
    comment.replace(/^ *\/\*\* ?/, "").replace(/ *\*\/$/, "").replaceAll(/^ *\* ?/gm, "")
  ).join("\n\n");
}

/** A text without its blocks of code: what they say is no link and no heading. */
function withoutBlocks(text: string): string {
  return text.replaceAll(/^( *)(```+)[^]*?^\1\2$/gm, "");
}

/** Where the links and pictures of a Markdown text lead: inline, by reference, in HTML, and by `{@link}`. */
function linksIn(text: string): string[] {
  const prose = withoutBlocks(text).replaceAll(/(`+)(?:(?!`|\n\n)[^])+\1/g, "code");
  return [
    ...prose.matchAll(/\]\(\s*<?([^()<>\s]+)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/g),
    ...prose.matchAll(/^ {0,3}\[[^\]\n]+\]:\s+<?([^<>\s]+)/gm),
    ...prose.matchAll(/\{@link(?:code|plain)?\s+([a-z]+:\/\/[^\s|}]+)/g),
    ...prose.matchAll(/<(?:a|img|source)\s[^>]*?\b(?:href|src|srcset)="([^"\s]+)"/g),
  ].map(([, href]) => href);
}

/** The names by which GitHub and JSR link to the headings of a page; those that are used before get a number. */
function anchorsOf(text: string): string[] {
  const used = new Map<string, number>();
  return [...withoutBlocks(text).matchAll(/^#+ +(.*)$/gm)].map(([, heading]) => {
    const title = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = title.toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N} _-]/gu, "").replaceAll(" ", "-");
    const count = used.get(anchor) ?? 0;
    used.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
}

/** All links of all pages and doc comments. */
function allLinks(): Link[] {
  return files().flatMap((from) => {
    const text = textOf(from);
    return linksIn(from.endsWith(".md") ? text : docsIn(text)).map((href) => ({ from, href }));
  }).toArray();
}

const isRelative = ({ href }: Link) => !/^([a-z][a-z+.-]*:|\/\/)/i.test(href);

/** What a link into the project leads to, as a URL on this machine. */
function targetOf({ from, href }: Link): URL {
  return IN_REPOSITORY.test(href) ? new URL(href.replace(IN_REPOSITORY, ""), ROOT) : new URL(href, new URL(from, ROOT));
}

function leadsSomewhere(link: Link): boolean {
  const { href, hash } = targetOf(link);
  try {
    const target = new URL(href.replace(/[?#].*/, ""));
    if (!target.href.startsWith(ROOT.href)) return false;
    Deno.statSync(target);
    return hash === "" || anchorsOf(textOf(target)).includes(decodeURIComponent(hash.slice(1)));
  } catch {
    return false;
  }
}

/** Whether `deno publish` takes a file or a folder along: `include` in `deno.json` names both. */
function isPublished(path: string): boolean {
  const { publish } = JSON.parse(textOf("deno.json")) as { publish: { include: string[] } };
  return publish.include.some((entry) => path === entry || path.startsWith(`${entry}/`));
}

const pathOf = (link: Link) => targetOf(link).href.replace(/[?#].*/, "").slice(ROOT.href.length).replace(/\/$/, "");

const listed = (links: readonly Link[]) => links.map(({ from, href }) => `${from}: ${href}`);

test("links: each relative link of a page or a doc comment leads to a file, and to a heading", () => {
  const links = allLinks().filter(isRelative);
  assertEquals(listed(links.filter((link) => !leadsSomewhere(link))), []);
  assert(links.length > 0);
});

test("links: each absolute link into the repository leads to a file there, and to a heading", () => {
  const links = allLinks().filter(({ href }) => IN_REPOSITORY.test(href));
  assertEquals(listed(links.filter((link) => !leadsSomewhere(link))), []);
  assert(links.length > 0);
});

test("links: published files lead by relative links to published files only", () => {
  const links = allLinks().filter((link) => isRelative(link) && isPublished(link.from));
  assertEquals(listed(links.filter((link) => !isPublished(pathOf(link)))), []);
  assert(links.length > 0);
});

test("links: they are found in every form, and not in code", () => {
  const page = [
    "[a](a.md) ![b](b.svg) [c]( <c.md> ) [d](d.md 'title') [`e`](e.md#e) [![f](f.svg)](g.md) [two",
    'lines](h.md) <a class="x" href="i.md">i</a> <img alt="" src="j.svg">',
    "[k]: k.md",
    "{@link https://l/ | l} {@linkcode no}",
    "`[no](no.md)` and `pools[kind](no)`",
    "```ts",
    "pools[kind](no);",
    "[no]: no.md",
    "```",
    "# no: [k] is a reference",
  ].join("\n");
  assertEquals(linksIn(page).toSorted(), [
    ..."a.md b.svg c.md d.md e.md#e f.svg g.md h.md https://l/ i.md j.svg k.md".split(" "),
  ]);
  const module = [
    "/** [a](a.md) */",
    "export interface A {",
    "  /**",
    "   * [b](b.md)",
    "   *",
    "   * ```ts",
    "   * pools[kind](no);",
    "   * ```",
    "   */",
    "  b: number; // [no](no.md)",
    "}",
    "const text = pools[kind](no); /* [no](no.md) */",
  ].join("\n");
  assertEquals(linksIn(docsIn(module)), ["a.md", "b.md"]);
});

test("links: headings have the names that GitHub and JSR give them", () => {
  const page = [
    "# What crosses?",
    "## Python → here",
    "## `Future.result()` and [links](no.md)",
    "```sh",
    "# no heading",
    "```",
    "## What crosses?",
  ].join("\n");
  assertEquals(anchorsOf(page), ["what-crosses", "python--here", "futureresult-and-links", "what-crosses-1"]);
});
