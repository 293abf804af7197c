/** {@linkcode ProcessPoolExecutor}: the behaviour of every executor. What only processes have is beside this file. */
import { behaviour } from "../behaviour/suite.ts";
import { kind } from "../fixtures/kinds/process_pool.ts";

behaviour(kind);
