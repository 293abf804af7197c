"""Python's concurrent.futures as a contestant: speaks the protocol of serve.mjs and does the works of works.mjs."""

import hashlib
import json
import multiprocessing
import queue
import sys
import threading
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import tasks


class Cannot(Exception):
    """Python has no such thing."""


def make_pool(group, workers):
    if group == "threads":
        return ThreadPoolExecutor(workers)
    # What a fork costs grows with the program, and threads do not survive it: newer versions of Python do not fork,
    # either.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def start_all(pool, workers):
    for future in [pool.submit(tasks.hold, 100) for _ in range(workers)]:
        future.result()


def timed(work):
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) * 1000, result


def expect(actual, wanted):
    if actual != wanted:
        raise ValueError(f"Wanted {wanted!r:.99}, and got {actual!r:.99}")


def one_by_one(pool, task, payload, count, size=0, wait=None, budget=1_500):
    if wait == "await":
        raise Cannot("cannot await")
    if task == "move":
        raise Cannot("cannot move")
    value = {"nothing": None, "text": "x" * size}.get(payload, b"\7" * size)
    arguments = [] if payload == "nothing" else [value]
    function = getattr(tasks, task)

    def run():
        done = 0
        start = time.perf_counter()
        while done < count:
            last = pool.submit(function, *arguments).result()
            done += 1
            if time.perf_counter() - start > budget / 1000:
                break
        elapsed = time.perf_counter() - start
        expect(last, value)
        return {"value": elapsed * 1e6 / done, "detail": {"tasks": done}}

    return run


def after_pauses(pool, count, pauseMs, wait=None):
    if wait == "await":
        raise Cannot("cannot await")

    def run():
        times = []
        for _ in range(count):
            time.sleep(pauseMs / 1000)
            elapsed, result = timed(lambda: pool.submit(tasks.noop).result())
            expect(result, None)
            times.append(elapsed)
        return {"value": sorted(times)[count // 2] * 1000}

    return run


def burst(pool, count):
    def run():
        elapsed, results = timed(
            lambda: [future.result() for future in [pool.submit(tasks.noop) for _ in range(count)]]
        )
        expect(results, [None] * count)
        return {"value": elapsed * 1000 / count}

    return run


def map_(pool, count, chunksize=1):
    def run():
        elapsed, results = timed(lambda: list(pool.map(tasks.echo, range(count), chunksize=chunksize)))
        expect(results, list(range(count)))
        return {"value": elapsed * 1000 / count}

    return run


def aside(pool, count, taskMs, busyMs):
    def run():
        futures = [pool.submit(tasks.spin, taskMs) for _ in range(count)]
        end = tasks.spin(busyMs)
        return {"value": sum(future.result() <= end for future in futures)}

    return run


def cold(group, results):
    def run():
        start = time.perf_counter()
        pool = make_pool(group, 2)
        for future in [pool.submit(tasks.noop) for _ in range(results)]:
            future.result()
        elapsed = time.perf_counter() - start
        pool.shutdown()
        return {"value": elapsed * 1000}

    return run


def speedup(group, task, count, pythonSize, **_):
    function = getattr(tasks, task)
    expected = function(pythonSize)
    if task == "sha256":
        expect(expected, hashlib.sha256(tasks.some_bytes(pythonSize)).hexdigest())
    pools = [make_pool(group, 1), make_pool(group, 2)]

    def run():
        times = []
        for pool in pools:
            elapsed, results = timed(lambda: list(pool.map(function, [pythonSize] * count)))
            expect(results, [expected] * count)
            times.append(elapsed)
        return {"value": times[0] / times[1], "detail": {"one": times[0], "two": times[1]}}

    return run, pools


def take_turns(lock, start, total, times):
    start.wait()
    for _ in range(times):
        lock.acquire()
        total[0] += 1
        lock.release()


def put_all(items, count):
    for n in range(count):
        items.put(n)


def sync(how, count):
    """A lock that nobody else wants, one that four threads want, or a queue between two threads."""
    pool = ThreadPoolExecutor(4)

    def free():
        lock, total = threading.Lock(), [0]
        alone = threading.Barrier(1)
        elapsed, _ = timed(lambda: take_turns(lock, alone, total, count))
        expect(total[0], count)
        return elapsed

    def wanted():
        lock, total = threading.Lock(), [0]
        start = threading.Barrier(5)
        futures = [pool.submit(take_turns, lock, start, total, count // 4) for _ in range(4)]
        while start.n_waiting < 4:
            time.sleep(0.001)

        def all_turns():
            start.wait()
            for future in futures:
                future.result()

        elapsed, _ = timed(all_turns)
        expect(total[0], count)
        return elapsed

    def queued():
        items = queue.Queue(1000)

        def pass_on():
            future = pool.submit(put_all, items, count)
            total = sum(items.get() for _ in range(count))
            future.result()
            return total

        elapsed, total = timed(pass_on)
        expect(total, count * (count - 1) // 2)
        return elapsed

    measure = {"free": free, "wanted": wanted, "queue": queued}[how]
    return lambda: {"value": measure() * 1000 / count}, [pool]


IN_A_POOL = {"oneByOne": one_by_one, "afterPauses": after_pauses, "burst": burst, "map": map_, "aside": aside}


def open_work(work, group, params):
    """Returns how to run it, and the pools to shut down."""
    if work == "cold":
        return cold(group, **params), []
    if work == "speedup":
        return speedup(group, **params)
    if work == "sync":
        return sync(**params)
    if work not in IN_A_POOL:
        raise Cannot("not measured")
    pool = make_pool(group, 2)
    start_all(pool, 2)
    return IN_A_POOL[work](pool, **params), [pool]


def main():
    # In one go and unbuffered, so that nothing is left over for child processes.
    answers, sys.stdout = sys.stdout, sys.stderr
    run, pools = None, []
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = None
            if "open" in request:
                run, pools = open_work(**request["open"])
            elif "run" in request:
                result = run()
            else:
                for pool in pools:
                    pool.shutdown()
            answer = {"ok": result}
        except Cannot as reason:
            answer = {"cannot": str(reason)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print("=", json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
