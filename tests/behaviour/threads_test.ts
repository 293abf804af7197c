/** {@linkcode ThreadPoolExecutor}: the behaviour of every executor. What only threads have is in `tests/threads`. */
import { behaviour } from "./suite.ts";
import { kind } from "../fixtures/kinds/thread_pool.ts";

behaviour(kind);
