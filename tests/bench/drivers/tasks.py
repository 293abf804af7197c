"""The tasks of tasks.mjs, in Python. In a module of their own, which child processes import."""

import threading
import time


def noop():
    pass


def echo(value):
    return value


def hold(ms):
    threading.Event().wait(ms / 1000)


def spin(ms):
    end = time.perf_counter() + ms / 1000
    while time.perf_counter() < end:
        pass
    return time.time() * 1000


def some_bytes(size):
    values = bytearray(size)
    x = 1
    for i in range(size):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        values[i] = x >> 24
    return bytes(values)


PRIMES = [n for n in range(2, 312) if all(n % m for m in range(2, n))]


def root(n, power):
    """The first 32 bits after the point of a root, exactly."""
    wanted = n << (32 * power)
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**power <= wanted else (low, middle)
    return low & 0xFFFFFFFF


ROUND = [root(prime, 3) for prime in PRIMES]
INITIAL = [root(prime, 2) for prime in PRIMES[:8]]


def sha256(size):
    mask = 0xFFFFFFFF
    padded = some_bytes(size) + b"\x80" + b"\0" * ((55 - size) % 64) + (size * 8).to_bytes(8, "big")
    state = list(INITIAL)
    for at in range(0, len(padded), 64):
        words = [int.from_bytes(padded[i : i + 4], "big") for i in range(at, at + 64, 4)]
        for i in range(16, 64):
            v, w = words[i - 15], words[i - 2]
            s0 = (v >> 7 | v << 25) ^ (v >> 18 | v << 14) ^ v >> 3
            s1 = (w >> 17 | w << 15) ^ (w >> 19 | w << 13) ^ w >> 10
            words.append((words[i - 16] + (s0 & mask) + words[i - 7] + (s1 & mask)) & mask)
        a, b, c, d, e, f, g, h = state
        for i in range(64):
            s1 = ((e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)) & mask
            t1 = h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]
            s0 = ((a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)) & mask
            t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
            h, g, f, e, d, c, b, a = g, f, e, (d + t1) & mask, c, b, a, (t1 + t2) & mask
        state = [(x + y) & mask for x, y in zip(state, (a, b, c, d, e, f, g, h))]
    return "".join(f"{word:08x}" for word in state)


def rc4(size):
    key = b"Key"
    box = list(range(256))
    j = 0
    for i in range(256):
        j = (j + box[i] + key[i % 3]) & 255
        box[i], box[j] = box[j], box[i]
    i = j = total = 0
    for byte in some_bytes(size):
        i = (i + 1) & 255
        a = box[i]
        j = (j + a) & 255
        b = box[j]
        box[i], box[j] = b, a
        total += byte ^ box[(a + b) & 255]
    return total
