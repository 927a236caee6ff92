import { LOOK_UP_STATES } from "./look-up-states.ts";
import { MANY_STATES } from "./many-states.ts";
import { SERVICE_STATES } from "./service-states.ts";
import type { State } from "./show-state.ts";

/** Every state of the page that a person may see. */
export const STATES: readonly State[] = [...LOOK_UP_STATES, ...MANY_STATES, ...SERVICE_STATES];
