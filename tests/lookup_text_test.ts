/**
 * What the library reads in texts: tokens, exports and imports, the names of a function. `behaviour/lookup*.ts` tests
 * the same with executors.
 */
import { assert, assertEquals } from "@std/assert";
import { findExport } from "../executors/_functions/_exports.ts";
import { type Outline, outline, usesValue } from "../executors/_functions/_outline.ts";
import { FunctionText } from "../executors/_functions/_text.ts";
import { tokenize } from "../executors/_functions/_tokens.ts";
import { test } from "./_helpers.ts";

const ROOT = new URL("../", import.meta.url);

/** The modules of a folder, and of those in it, that do nothing when they are imported. */
function modulesOf(folder: string, ...without: string[]): URL[] {
  return Array.from(Deno.readDirSync(new URL(folder, ROOT))).flatMap(({ name, isDirectory }) => {
    if (without.some((part) => (folder + name).includes(part))) return [];
    if (isDirectory) return modulesOf(`${folder}${name}/`, ...without);
    return name.endsWith(".ts") ? [new URL(folder + name, ROOT)] : [];
  });
}

const MODULES = [
  // Workers begin with some, and the cluster's load its engine.
  ...modulesOf("executors/", "_thread_worker", "_broker", "child/", "_runner/", "cluster/"),
  ...modulesOf("futures/"),
  ...modulesOf("tests/fixtures/", "on_import", "imports_", "kind", "programs", "ticker"),
  new URL("mod.ts", ROOT),
];

/** A text's tokens, as `kind text`. */
function tokensOf(text: string): string[] {
  return tokenize(text).map(({ kind, text }) => `${kind[0]}:${text}`);
}

test("tokenize() tells strings, templates, regular expressions and comments from code", () => {
  const cases: [text: string, tokens: string][] = [
    ['"/*" + "*/"', "s:/* m:+ s:*/"],
    ["a // b\n/* c */ d", "n:a n:d"],
    ["'it\\'s' 'x", "s:it\\'s m:' n:x"],
    ["`a ${b + `c ${d} e`} \\` f`g", "m:` m:${ n:b m:+ m:` m:${ n:d m:} m:` m:} m:` n:g"],
    ["a / b / c", "n:a m:/ n:b m:/ n:c"],
    ['x = /[/*"]/g.test(y)', 'n:x m:= r:/[/*"]/g m:. n:test m:( n:y m:)'],
    [
      "if (x) /a/.exec(y); (x) / a / y",
      "n:if m:( n:x m:) r:/a/ m:. n:exec m:( n:y m:) m:; m:( n:x m:) m:/ n:a m:/ n:y",
    ],
    ["a?.b ? .5 : 1e-5", "n:a m:?. n:b m:? m:. n:5 m:: n:1e-5"],
    ["#!/usr/bin/env deno\nlet #größe = () => 1", "n:let n:#größe m:= m:( m:) m:=> n:1"],
    ["<p>don't {a}</p>", "m:< n:p m:> n:don m:' n:t m:{ n:a m:} m:< m:/ n:p m:>"],
    ["'open", "m:' n:open"],
    ["`open ${a", "m:` m:${ n:a"],
    ["/* open", ""],
  ];
  for (const [text, tokens] of cases) assertEquals(tokensOf(text).join(" "), tokens, text);
});

test("tokenize() goes over every module of this library: what it leaves out is space and comments", () => {
  for (const url of MODULES) {
    const text = Deno.readTextFileSync(url);
    let at = 0;
    for (const { start, end } of tokenize(text)) {
      // Of a template, what stands between two tokens is its text.
      const between = text.slice(at, start);
      assert(/^(\s|\/\/.*|\/\*[^]*?\*\/)*$/.test(between) || /[`}]$/.test(text.slice(0, at)), `${url}: ${between}`);
      at = end;
    }
  }
});

test("outline() knows the exports of every module of this library, as importing it does", async () => {
  const outlines = new Map<string, Outline>();
  const look = (url: string) => {
    if (!url.startsWith("file:")) return undefined;
    if (!outlines.has(url)) outlines.set(url, outline(Deno.readTextFileSync(new URL(url))));
    return outlines.get(url);
  };
  for (const { href } of MODULES) {
    const namespace: { [name: string]: unknown } = await import(href);
    for (const [path, value] of Object.entries(namespace)) {
      const found = findExport(href, path, look);
      const isTask = typeof value === "function" && !String(value).startsWith("class");
      if (!isTask) assert(found?.kind !== "function", `${path} of ${href}`);
      else if (found?.kind === "function") assertEquals(found.name, value.name, `${path} of ${href}`);
      else assert(found?.kind === "computed" || found?.kind === "unread", `${path} of ${href}: ${found?.kind}`);
    }
    const { exports, reexported } = look(href)!;
    const left = [...exports.keys()].filter((name) => !(name in namespace));
    assertEquals(left.length === 0 || reexported.length > 0, true, `${href} does not export ${left}`);
  }
});

test("outline() tells the types of variables, and values by default, from variables", () => {
  const { values, exports } = outline(`
export const handle: Handler<Request, Map<string, () => void>> = (request) => request, next: Pair<A, B> = make();
export const plain: Promise<void>
export const { a = helper, b: { c = [helper, 1] }, ...rest } = object, [d = { helper }] = list;
export function last() {}
const helper = () => 1;
`);
  assertEquals([...exports.keys()], ["handle", "next", "plain", "a", "c", "rest", "d", "last"]);
  assertEquals(
    ["handle", "next", "plain", "c", "helper"].map((name) => values.get(name)?.kind),
    ["function", "computed", "computed", "computed", "function"],
  );
});

test("outline() knows the exports behind text of JSX that looks like a comment", () => {
  const { exports } = outline(`
export const Link = ({ to }: Props) => (
  <p>See https://example.com/ {to}</p>
);
export function square(n: number) { return n * n; }
`);
  assertEquals([...exports.keys()], ["Link", "square"]);
});

test("outline() reads the forms in which functions are exported", () => {
  const text = `
import def, { a as b, type T, default as c } from "./x.ts";
import type { Gone } from "./gone.ts";
import { type AlsoGone } from "./gone.ts";
import * as all from './all.ts';
import type from "./type.ts";
import "./effect.ts";
export const arrow = (n: number): number => n, generic = <T>(x: T): T => x, one = n => n, made = make(1);
export const typed: (a: Map<string, number>) => void = async (a) => {}
export const table: Record<string, Map<string, [a: () => void, b: 1]>> = {}, after: Set<1> | null = (n) => n;
export let later: number
export async function* generator() {}
export function overloaded(a: string): void;
export function overloaded(a: unknown): void {}
export const { x, y: [z] } = object, [p] = list;
export const iife = (() => 1)(), cast = (fn as Task), alias = arrow, flag = true, text = "export const no = () => 1";
export default function () {}
export { hidden as shown, type T2, b as imported };
export { q as r, default as s } from "./more.ts";
export * from "./every.ts";
export * as named from "./every.ts";
export type { T3 } from "./gone.ts";
export interface I { of(): void }
export abstract class C {}
export declare const ambient: () => void;
const hidden = function named() {};
if (x) { export_ = 1; }
`;
  const { exports, imports, values, reexported } = outline(text);
  assertEquals(
    [...imports].map(([local, { specifier, name }]) => `${local} = ${name} of ${specifier}`),
    [
      "def = default of ./x.ts",
      "b = a of ./x.ts",
      "c = default of ./x.ts",
      "all = * of ./all.ts",
      "type = default of ./type.ts",
    ],
  );
  assertEquals(reexported, ["./every.ts"]);
  const kinds = Object.fromEntries(
    [...exports].map(([name, local]) => [name, typeof local === "string" ? values.get(local)?.kind : local.specifier]),
  );
  assertEquals(kinds, {
    arrow: "function",
    generic: "function",
    one: "function",
    made: "computed",
    typed: "function",
    table: "other",
    after: "function",
    later: "computed",
    generator: "function",
    overloaded: "function",
    x: "computed",
    z: "computed",
    p: "computed",
    iife: "computed",
    cast: "computed",
    alias: "alias",
    flag: "other",
    text: "other",
    default: "function",
    shown: "function",
    imported: undefined,
    r: "./more.ts",
    s: "./more.ts",
    named: "./every.ts",
    C: "other",
  });
  assertEquals(values.get("hidden"), { kind: "function", name: "named" });
});

test("usesValue() tells where the value of an import is used from types, properties and other variables", () => {
  const uses = ["f(1)", "run(f)", "x = { a: f }", "x = { f }", "c ? f(1) : 2", "c ? f : g", "export { f };", "[f, g]"];
  const others = [
    "type F = typeof f;",
    "x.f(1)",
    "x = { f: 1 }",
    "x = { f(n) { return n; } }",
    "class A { f(n: number): number { return n; } }",
    "const f = 1;",
    "function f() {}",
    "x = 'f' + `f` // f",
  ];
  for (const text of uses) assert(usesValue(outline(`import { f } from "./f.ts";\n${text}`), "f"), text);
  for (const text of others) assert(!usesValue(outline(`import { f } from "./f.ts";\n${text}`), "f"), text);
});

test("FunctionText.freeNames() has the names that come from around a function, and no other", () => {
  const cases: [text: string, names: string][] = [
    [
      "(n) => { let a = 1, b = [n, 3], c; const { x, y: { z } } = f(), [w = 2] = []; return a + b + c + x + z + w; }",
      "f",
    ],
    ["async function foo(...[a, { b = 1 }]) { for (const k of a) for (const j in k) await foo(b, j); }", ""],
    ["(s) => { const o = { s, t() { return 1; }, u: 2, get v() { return 3; } }; return `${o.u} ${s.w} ${q}`; }", "q"],
    ["() => { class A { #p = 1; m() { return this.#p; } } try { new A(); } catch (e) { throw e; } }", ""],
    ["double(n) { return n * by; }", "by"],
    ["[computed](n) { return n; }", ""],
    ["(n) => n.name + other?.name + 'text' + /regex/.source", "other"],
  ];
  for (const [text, names] of cases) assertEquals([...new FunctionText(text).freeNames()].join(" "), names, text);
});
