import { createContextKey } from "@connectrpc/connect";

/** Whose call it is, in a spelling that tells callers apart: for limits that hold for each of them. */
export const callerKey = createContextKey<string>("unknown", { description: "caller" });
