/**
 * What messages call things that cannot cross, and what they tell the user to do instead.
 *
 * @module
 */

import { isExit } from "../../futures/task_exit.ts";
import type { EncodeOptions } from "./_graph_writer.ts";
import { CLASS_NAMES } from "./_types.ts";

/** What to do instead of sending an instance of a class of the platform. The `$` stands for "send" or "return". */
const INSTEAD: { readonly [name: string]: string } = {
  Response: "$ what its body holds, such as await response.bytes()",
  Request: "$ its url, method, headers and body, and make it where it is needed",
  Headers: "$ its entries, such as [...headers]",
  FormData: "$ its entries, such as [...form]",
  Blob: "$ its bytes, such as await blob.bytes()",
  File: "$ its name and its bytes, such as await file.bytes()",
  WeakMap: "$ a Map",
  WeakSet: "$ a Set",
  WeakRef: "$ what it refers to",
  Buffer: "$ a plain view of it, such as new Uint8Array(buffer)",
  CryptoKey: 'export it, such as await crypto.subtle.exportKey("jwk", key)',
  AbortController: "keep it here",
};

const STREAMS = new Set(["ReadableStream", "WritableStream", "TransformStream", "MessagePort"]);

/** So many characters are told of the message of something that was thrown. */
const MAX_MESSAGE = 1_000;

/** The default text forms of generators, and of iterators of collections. */
const ITERATOR = /^\[object (.* )?(Async )?(Generator|AsyncGenerator|Iterator|Iterator Helper)\]$/;

/**
 * Says what a thing is that cannot cross, and what to do instead. The thing may be a proxy that throws at each look.
 */
export function describeRefused(thing: object, { root, sameProcess }: EncodeOptions): string {
  const send = root === "result" ? "return" : "send";
  const tag = read(() => Object.prototype.toString.call(thing));
  if (ITERATOR.test(tag)) return describeIterator(tag, send);
  const name = read(() => String(thing.constructor?.name ?? ""));
  const isPlatforms = name !== "" && isOf(thing, name);
  // What is refused although instances of its class cross is no plain instance: it may be one of another realm.
  const what = isPlatforms && !CLASS_NAMES.has(name) ? article(name) : `an instance of ${name || "an unnamed class"}`;
  if (hasMethod(thing, "then")) return fix(what, `await it first, and ${send} what it resolves to`);
  if (hasMethod(thing, "submit")) return fix(what, "make one in the task, or submit from here");
  if (isPlatforms && STREAMS.has(name)) {
    if (sameProcess) return fix(what, "move it, as a whole argument or result, such as transfer(it, [it])");
    return name === "MessagePort" ? `${what}, which no other process can use` : fix(what, `${send} what it carries`);
  }
  const instead = isPlatforms && Object.hasOwn(INSTEAD, name) ? INSTEAD[name].replace("$", send) : undefined;
  if (instead !== undefined) return fix(what, instead);
  if (isPlatforms || name === "") return fix(what, `${send} what it is made of`);
  if (root === "error") return fix(what + messageOf(thing), "throw an Error, or its data as a plain object");
  return fix(what, `${send} its data as a plain object or array`);
}

/** What a thing that was thrown says of itself, as many classes do that are no errors. */
function messageOf(thing: object): string {
  const message = read(() => {
    const text = (thing as { message?: unknown }).message;
    return typeof text === "string" ? text : "";
  });
  const shown = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  return message === "" ? "" : ` with the message ${JSON.stringify(shown)}`;
}

/** What a message says of a thing that cannot cross. */
export function fix(what: string, instead: string): string {
  return `${what}. To fix it, ${instead}`;
}

/** Says that something is a function, which one, and what to do instead. */
export function describeFunction(fn: unknown, { root }: EncodeOptions): string {
  const name = read(() => String((fn as { name?: unknown }).name ?? ""));
  const instead = root === "result" ? "return what it computes" : "send what it computes, or let the task import it";
  return fix(`a function${name === "" ? "" : ` (${name})`}`, instead);
}

/** Says which own key of an instance of a built-in class does not cross with it, and what to do instead. */
export function describeExtra(thing: object, key: string, { root }: EncodeOptions): string {
  const name = read(() => String(thing.constructor?.name ?? "")) || "object of a built-in class";
  const send = root === "result" ? "return" : "send";
  return fix(`${article(name)} with an extra property, ${JSON.stringify(key)}`, `${send} it beside the ${name}`);
}

function describeIterator(tag: string, send: string): string {
  if (tag.includes("AsyncGenerator")) {
    return fix("an async generator", `${send} an array, such as await Array.fromAsync(it)`);
  }
  return fix(tag.includes("Generator") ? "a generator" : "an iterator", `${send} an array, such as [...it]`);
}

/** Whether the global class of that name has made a thing. */
function isOf(thing: object, name: string): boolean {
  return read(() => {
    const { prototype } = (globalThis as unknown as { [name: string]: { prototype?: unknown } })[name];
    return String(typeof prototype === "object" && Object.getPrototypeOf(thing) === prototype);
  }) === "true";
}

function hasMethod(thing: object, name: string): boolean {
  return read(() => typeof (thing as { [name: string]: unknown })[name]) === "function";
}

function article(name: string): string {
  return `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}`;
}

function read(text: () => string): string {
  try {
    return text();
  } catch (error) {
    if (isExit(error)) throw error;
    return "";
  }
}

/** The text of what was thrown, which may be anything. */
export function textOfThrown(thrown: unknown): string {
  return read(() => String(thrown)) || "a value that has no text form";
}
