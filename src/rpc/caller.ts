import { createContextKey } from "@connectrpc/connect";

/**
 * Whose call it is, in a spelling that tells callers apart: for limits that hold for each of them, for logs and for
 * audit. It starts as the peer's address, as the listener knows it; once the call is let in, it is the name of the
 * caller's token or, without tokens, its address as limits are kept for it.
 */
export const callerKey = createContextKey<string>("unknown", { description: "caller" });
