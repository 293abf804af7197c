/** What every kind of executor promises, to be run for each of them. */
import { lendPools } from "./borrow.ts";
import { cancelBehaviour } from "./cancel.ts";
import { errorBehaviour } from "./errors.ts";
import { exitBehaviour } from "./exits.ts";
import { initializerBehaviour } from "./initializer.ts";
import type { Kind } from "./kind.ts";
import { loadBehaviour } from "./load.ts";
import { lookupBehaviour } from "./lookup.ts";
import { lookupMessageBehaviour } from "./lookup_messages.ts";
import { lookupProgramBehaviour } from "./lookup_programs.ts";
import { lookupShapesBehaviour } from "./lookup_shapes.ts";
import { mapBehaviour } from "./map.ts";
import { mapEndBehaviour } from "./map_end.ts";
import { mapOptionsBehaviour } from "./map_options.ts";
import { programBehaviour } from "./programs.ts";
import { refusedBehaviour } from "./refused.ts";
import { shutdownBehaviour } from "./shutdown.ts";
import { submitBehaviour } from "./submit.ts";
import { valueBehaviour } from "./values.ts";
import { waitingBehaviour } from "./waiting.ts";

/** Registers the tests of the behaviour suite for one kind of executor. */
export function behaviour(kind: Kind): void {
  lendPools(kind);
  submitBehaviour(kind);
  cancelBehaviour(kind);
  waitingBehaviour(kind);
  valueBehaviour(kind);
  refusedBehaviour(kind);
  errorBehaviour(kind);
  lookupBehaviour(kind);
  lookupShapesBehaviour(kind);
  lookupProgramBehaviour(kind);
  lookupMessageBehaviour(kind);
  mapBehaviour(kind);
  mapEndBehaviour(kind);
  mapOptionsBehaviour(kind);
  initializerBehaviour(kind);
  exitBehaviour(kind);
  shutdownBehaviour(kind);
  loadBehaviour(kind);
  programBehaviour(kind);
}
