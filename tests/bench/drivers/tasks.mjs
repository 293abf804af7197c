/** The tasks that all JavaScript contestants run: each takes one argument. Importing this does nothing. */

export function noop() {}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function echo(value) {
  return value;
}

/** Keeps its worker for so many milliseconds without computing. */
export function hold(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Says that it has begun, keeps its worker until it may end, and notes when that was, for {@linkcode end}. */
export function begin(memory) {
  const words = new Int32Array(memory);
  Atomics.store(words, 0, 1);
  while (Atomics.load(words, 0) === 1);
  new Float64Array(memory)[1] = performance.now();
}

/** Notes how many milliseconds after {@linkcode begin} it has begun, and says so. */
export function end(memory) {
  const times = new Float64Array(memory);
  times[1] = performance.now() - times[1];
  Atomics.store(new Int32Array(memory), 0, 3);
}

/** Computes for so many milliseconds, and returns when it ended: milliseconds since 1970. */
export function spin(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return Date.now();
}

/** So many bytes that look random, and are the same each time. */
export function someBytes(size) {
  const bytes = new Uint8Array(size);
  for (let i = 0, x = 1; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

const PRIMES = [];
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n);
const fraction = (n) => ((n - Math.floor(n)) * 2 ** 32) | 0;
const ROUND = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

/** SHA-256 of {@linkcode someBytes}, in plain JavaScript, as a hexadecimal number. */
export function sha256(size) {
  const padded = new Uint8Array((size + 72) & ~63);
  padded.set(someBytes(size));
  padded[size] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, size * 8);
  new DataView(padded.buffer).setUint32(padded.length - 8, Math.floor(size / 2 ** 29));
  const view = new DataView(padded.buffer);
  const hash = INITIAL.slice();
  const words = new Int32Array(64);
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [v, w] = [words[i - 15], words[i - 2]];
      const s0 = ((v >>> 7) | (v << 25)) ^ ((v >>> 18) | (v << 14)) ^ (v >>> 3);
      const s1 = ((w >>> 17) | (w << 15)) ^ ((w >>> 19) | (w << 13)) ^ (w >>> 10);
      words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
    hash[5] += f;
    hash[6] += g;
    hash[7] += h;
  }
  return Array.from(hash, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The sum of the bytes that RC4 makes of {@linkcode someBytes} with the key "Key". */
export function rc4(size) {
  const key = [0x4b, 0x65, 0x79];
  const box = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + box[i] + key[i % 3]) & 255;
    [box[i], box[j]] = [box[j], box[i]];
  }
  const bytes = someBytes(size);
  let sum = 0;
  for (let n = 0, i = 0, j = 0; n < size; n++) {
    i = (i + 1) & 255;
    const a = box[i];
    j = (j + a) & 255;
    const b = box[j];
    box[i] = b;
    box[j] = a;
    sum += bytes[n] ^ box[(a + b) & 255];
  }
  return sum;
}
