import { randomUUID } from "node:crypto";

/** The header in which a caller may name its request, and in which errors name it. */
export const REQUEST_ID_HEADER = "x-request-id";

const ACCEPTABLE = /^[\w.:-]{1,64}$/;

/** The caller's own id when it is a harmless word of at most 64 characters, else a new one. */
export function requestIdOf(given: string | readonly string[] | undefined): string {
  return typeof given === "string" && ACCEPTABLE.test(given) ? given : randomUUID();
}
