/** {@linkcode ThreadPoolExecutor}: the behaviour of every executor. What only threads have is beside this file. */
import { behaviour } from "../behaviour/suite.ts";
import { kind } from "../fixtures/kinds/thread_pool.ts";

behaviour(kind);
