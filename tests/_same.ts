/**
 * A comparison that sees what `assertEquals` forgives: `-0`, holes, prototypes, key order, own keys of any kind, and
 * whether two places hold the same object.
 */
import { fail } from "@std/assert";

/** Fails unless `actual` is `expected` in every respect but identity. */
export function assertSame(actual: unknown, expected: unknown, what = "value"): void {
  const found = difference(actual, expected, what, new Map(), new Map());
  if (found !== undefined) {
    fail(`${found}\nactual: ${Deno.inspect(actual)}\nexpected: ${Deno.inspect(expected)}`);
  }
}

type Pairs = Map<object, object>;

const TypedArray = Object.getPrototypeOf(Uint8Array) as abstract new () => Uint8Array;

function difference(a: unknown, e: unknown, at: string, forth: Pairs, back: Pairs): string | undefined {
  if (typeof e !== "object" || e === null) {
    return Object.is(a, e) ? undefined : `${at}: ${show(a)} instead of ${show(e)}`;
  }
  if (typeof a !== "object" || a === null) return `${at}: ${show(a)} instead of an object`;
  if (forth.has(e) || back.has(a)) {
    return forth.get(e) === a && back.get(a) === e ? undefined : `${at}: repeated references differ`;
  }
  forth.set(e, a);
  back.set(a, e);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(e)) return `${at}: another prototype`;

  const next = (x: unknown, y: unknown, place: string) => difference(x, y, place, forth, back);
  let inner: string | undefined;
  if (e instanceof Date) inner = next((a as Date).getTime(), e.getTime(), `${at}.getTime()`);
  else if (e instanceof RegExp) inner = next(String(a), String(e), `String(${at})`);
  // Plain time and its like have no properties of their own.
  else if (isTemporal(e)) {
    return next(`${Object.prototype.toString.call(a)} ${a}`, `${Object.prototype.toString.call(e)} ${e}`, at);
  } else if (e instanceof URL) return next((a as URL).href, e.href, `${at}.href`);
  else if (e instanceof Error) return errorDifference(a as Error, e, at, next);
  else if (e instanceof ArrayBuffer) {
    const [x, y] = [a as ArrayBuffer, e];
    inner = next([x.resizable, x.maxByteLength], [y.resizable, y.maxByteLength], `${at} (resizable, maxByteLength)`) ??
      bytesDifference(new Uint8Array(x), new Uint8Array(y), at);
  } else if (e instanceof TypedArray || e instanceof DataView) {
    return bytesDifference(bytesOf(a as Uint8Array), bytesOf(e), at);
  } else if (e instanceof Map) {
    inner = next([...(a as Map<unknown, unknown>)], [...e], `${at} (entries)`);
  } else if (e instanceof Set) inner = next([...(a as Set<unknown>)], [...e], `${at} (items)`);
  else if (e instanceof Number || e instanceof String || e instanceof Boolean) {
    inner = next(a.valueOf(), e.valueOf(), `${at}.valueOf()`);
  }
  return inner ?? propertiesDifference(a, e, at, next);
}

function isTemporal(value: object): boolean {
  return Object.prototype.toString.call(value).startsWith("[object Temporal.");
}

type Next = (x: unknown, y: unknown, place: string) => string | undefined;

function propertiesDifference(a: object, e: object, at: string, next: Next): string | undefined {
  const [keysA, keysE] = [Reflect.ownKeys(a), Reflect.ownKeys(e)];
  if (keysA.length !== keysE.length || keysA.some((key, i) => key !== keysE[i])) {
    return `${at}: keys ${show(keysA.slice(0, 20))} instead of ${show(keysE.slice(0, 20))}`;
  }
  for (const key of keysE) {
    const [x, y] = [Object.getOwnPropertyDescriptor(a, key)!, Object.getOwnPropertyDescriptor(e, key)!];
    const place = `${at}[${typeof key === "symbol" ? String(key) : JSON.stringify(key)}]`;
    if ("get" in y !== "get" in x || y.enumerable !== x.enumerable) return `${place}: another kind of property`;
    const found = next(x.value, y.value, place);
    if (found !== undefined) return found;
  }
}

function errorDifference(a: Error, e: Error, at: string, next: Next): string | undefined {
  const view = (error: Error) => ({
    name: error.name,
    message: error.message,
    caused: "cause" in error,
    cause: error.cause,
    errors: error instanceof AggregateError ? error.errors : undefined,
    fields: Object.entries(error).filter(([key]) => key !== "name" && key !== "cause" && key !== "errors"),
  });
  const [x, y] = [view(a), view(e)];
  for (const key of Object.keys(y) as (keyof typeof y)[]) {
    const found = next(x[key], y[key], `${at}.${key}`);
    if (found !== undefined) return found;
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function bytesDifference(a: Uint8Array, e: Uint8Array, at: string): string | undefined {
  if (a.length !== e.length) return `${at}: ${a.length} bytes instead of ${e.length}`;
  for (let i = 0; i < e.length; i++) if (a[i] !== e[i]) return `${at}: byte ${i} is ${a[i]} instead of ${e[i]}`;
}

function show(value: unknown): string {
  return Deno.inspect(value).slice(0, 200);
}
