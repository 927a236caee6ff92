import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAuthority } from "../support/certificates.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { keepSilent, SECURED_SILENCES, SILENCES } from "./silences.ts";

const SHORT_MS = 300;
const HANG_MS = 120_000;

/** Every limit, so short that none can be taken for a usual one before the test gives up. */
const limits = {
  firstBytesMs: SHORT_MS,
  lookMs: SHORT_MS / 10,
  sessions: { prefaceMs: SHORT_MS, pingMs: SHORT_MS, pongMs: SHORT_MS },
  http1: { headersMs: SHORT_MS },
  watch: { arrivalTimeoutMs: SHORT_MS },
};
const authority = createAuthority();
const stack = new AsyncDisposableStack();
let plain: TestApp;
let secured: TestApp;

beforeAll(async () => {
  const { path } = stack.use(await temporaryDirectory());
  const [TLS_CERT_FILE, TLS_KEY_FILE] = [join(path, "cert.pem"), join(path, "key.pem")];
  const { cert, key } = authority.issue("localhost");
  await Promise.all([writeFile(TLS_CERT_FILE, cert), writeFile(TLS_KEY_FILE, key)]);
  plain = stack.use(await startTestApp({ limits }));
  secured = stack.use(await startTestApp({ limits, env: { TLS_CERT_FILE, TLS_KEY_FILE } }));
});

afterAll(() => stack.disposeAsync());

test.concurrent.each([
  ...SILENCES,
  // A handshake has 10 s, whoever asks: that is for `npm run torture`.
  ...SECURED_SILENCES.filter(({ limit }) => limit !== "handshake"),
])("row 5: $what over $protocol, TLS: $tls, is ended at its limit", { timeout: HANG_MS }, async (silence) => {
  const address = (silence.tls === undefined ? plain : secured).httpAddress;
  const options = { address, ca: authority.cert, dripMs: SHORT_MS / 10, patienceMs: HANG_MS / 2 };

  const { how } = await keepSilent(silence, options);

  expect(how).toBe(silence.endsCall === true ? "answered" : "closed");
});
