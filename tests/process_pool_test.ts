/** {@linkcode ProcessPoolExecutor}: the behaviour of every executor. What only processes have: `process_pool_only_test.ts`. */
import { behaviour } from "./behaviour/suite.ts";
import { kind } from "./fixtures/kinds/process_pool.ts";

behaviour(kind);
