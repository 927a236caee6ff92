import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import type { TlsOnDisk } from "../support/tls-on-disk.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import { keepSilent, SECURED_SILENCES, SILENCES } from "./silences.ts";

const SHORT_MS = 300;
const HANG_MS = 300_000;

/** Limits that are so short that a test cannot mistake them for the usual ones. */
const limits = {
  firstBytesMs: SHORT_MS,
  lookMs: SHORT_MS / 10,
  sessions: { prefaceMs: SHORT_MS, pingMs: SHORT_MS, pongMs: SHORT_MS },
  http1: { headersMs: SHORT_MS },
  watch: { arrivalTimeoutMs: SHORT_MS },
};
const stack = new AsyncDisposableStack();
let disk: TlsOnDisk;
let plain: TestApp;
let secured: TestApp;

beforeAll(async () => {
  disk = stack.use(await writeTls());
  plain = stack.use(await startTestApp({ limits }));
  secured = stack.use(await startTestApp({ limits, env: disk.env }));
});

afterAll(() => stack.disposeAsync());

test.concurrent.each([
  ...SILENCES,
  // A handshake has 10 s, which cannot be shortened: `npm run torture` covers it.
  ...SECURED_SILENCES.filter(({ limit }) => limit !== "handshake"),
])("row 5: $what over $protocol, TLS: $tls, is ended at its limit", { timeout: HANG_MS }, async (silence) => {
  const address = (silence.tls === undefined ? plain : secured).httpAddress;
  const options = { address, ca: disk.ca, dripMs: SHORT_MS / 10, patienceMs: HANG_MS / 2 };

  const { how } = await keepSilent(silence, options);

  expect(how).toBe(silence.endsCall === true ? "answered" : "closed");
});
