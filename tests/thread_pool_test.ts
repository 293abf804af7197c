/** {@linkcode ThreadPoolExecutor}: the behaviour of every executor. What only threads have: `thread_pool_only_test.ts`. */
import { behaviour } from "./behaviour/suite.ts";
import { kind } from "./fixtures/kinds/thread_pool.ts";

behaviour(kind);
