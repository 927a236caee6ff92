import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { TlsCertificates } from "../../src/server/tls.ts";
import { createAuthority } from "./certificates.ts";
import { silentLogger } from "./silent-logger.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A listener's certificates, and what its clients must trust. */
export interface TlsOnDisk extends AsyncDisposable {
  readonly tls: TlsCertificates;
  /** The authority, as PEM. */
  readonly ca: string;
}

/** New certificates for `localhost` in a directory of their own. */
export async function writeTls(): Promise<TlsOnDisk> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const authority = createAuthority();
  const identity = authority.issue("localhost");
  const certFile = join(directory.path, "cert.pem");
  const keyFile = join(directory.path, "key.pem");
  await writeFile(certFile, identity.cert);
  await writeFile(keyFile, identity.key);
  const tls = stack.use(await TlsCertificates.open({ certFile, keyFile, logger: silentLogger }));
  const cleanUp = stack.move();
  return { tls, ca: authority.cert, [Symbol.asyncDispose]: () => cleanUp.disposeAsync() };
}
