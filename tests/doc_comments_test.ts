/** The doc comments of what is exported: their links lead somewhere, and `deno doc` and JSR show them well. */
import { assert, assertEquals } from "@std/assert";
import { test } from "./_helpers.ts";

const ROOT = new URL("../", import.meta.url);

interface JsDoc {
  readonly doc?: string;
  readonly tags?: readonly { readonly kind: string; readonly doc?: string }[];
}

/** A symbol, or a member of one. */
interface Declaration {
  readonly name: string;
  readonly jsDoc?: JsDoc;
  readonly kind?: string;
  readonly def?: { readonly [part: string]: unknown };
}

/** A doc comment, and what it is about, by the name that links use. */
interface Comment {
  readonly name: string;
  /** Whether another entry point exports the same thing, and has its comment. */
  readonly isReference?: boolean;
  readonly jsDoc: JsDoc;
}

/** The comments of each entry point, by its file. */
async function entries(): Promise<Map<string, Comment[]>> {
  const { exports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...Object.values<string>(exports)],
    cwd: ROOT,
    stderr: "null",
  });
  const { nodes } = JSON.parse(new TextDecoder().decode((await command.output()).stdout));
  return new Map(
    Object.entries<{ symbols: { name: string; declarations: Declaration[] }[] }>(nodes).map(([file, { symbols }]) => [
      file.slice(ROOT.href.length),
      symbols.flatMap(({ name, declarations }) => declarations.flatMap((each) => commentsOf({ ...each, name }))),
    ]),
  );
}

function commentsOf({ name, jsDoc = {}, kind, def = {} }: Declaration): Comment[] {
  if (kind === "reference") return [{ name, jsDoc, isReference: true }];
  const start = kind === "class" ? `${name}.prototype.` : `${name}.`;
  const members = ["properties", "methods"].flatMap((part) => (def[part] ?? []) as Declaration[]);
  return [{ name, jsDoc }, ...members.map((member) => ({ name: start + member.name, jsDoc: member.jsDoc ?? {} }))];
}

function textsOf({ doc = "", tags = [] }: JsDoc): string[] {
  return [doc, ...tags.filter(({ kind }) => kind !== "example").map((tag) => tag.doc ?? "")];
}

test("doc comments: each link leads to a symbol of its entry point", async () => {
  const dead: string[] = [];
  let count = 0;
  for (const [file, comments] of await entries()) {
    const names = new Set(comments.map(({ name }) => name));
    for (const { name, jsDoc } of comments) {
      for (const [, target] of textsOf(jsDoc).join("\n").matchAll(/\{@link(?:code|plain)?\s+([^\s|}]+)/g)) {
        count++;
        if (!/^[a-z]+:\/\//.test(target) && !names.has(target)) dead.push(`${file}: ${name}: ${target}`);
      }
    }
  }
  assertEquals(dead, []);
  assert(count > 0);
});

test("doc comments: each begins with a sentence, for indexes, and each example has a title", async () => {
  const bad: string[] = [];
  let count = 0;
  for (const [file, comments] of await entries()) {
    for (const { name, jsDoc, isReference } of comments) {
      if (isReference) continue;
      count++;
      const [start] = (jsDoc.doc ?? "").trim().split("\n\n");
      if (!/^[^-].*[.:]$/s.test(start)) bad.push(`${file}: ${name}: ${start}`);
      for (const { kind, doc = "" } of jsDoc.tags ?? []) {
        if (kind === "example" && doc.startsWith("```")) bad.push(`${file}: ${name}: an example without a title`);
      }
    }
  }
  assertEquals(bad, []);
  assert(count > 0);
});
