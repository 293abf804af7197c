/**
 * {@linkcode ProcessPoolExecutor}: the behaviour of every executor. What only processes have is in `tests/processes`.
 */
import { behaviour } from "./suite.ts";
import { kind } from "../fixtures/kinds/process_pool.ts";

behaviour(kind);
