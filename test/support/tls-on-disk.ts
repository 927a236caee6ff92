import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { TlsCertificates } from "../../src/server/tls.ts";
import { createAuthority } from "./certificates.ts";
import { silentLogger } from "./silent-logger.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A certificate, its key and its authority, for a listener and for its clients. */
export interface TlsOnDisk extends AsyncDisposable {
  readonly tls: TlsCertificates;
  /** The authority, as PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** The same files for a service's environment. */
  readonly env: { readonly TLS_CERT_FILE: string; readonly TLS_KEY_FILE: string };
}

/** Writes a new certificate for `localhost` and `127.0.0.1`, its key and its authority to a directory of their own. */
export async function writeTls(): Promise<TlsOnDisk> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const authority = createAuthority();
  const { cert, key } = authority.issue("localhost");
  const [caFile, certFile, keyFile] = [join(path, "ca.pem"), join(path, "cert.pem"), join(path, "key.pem")];
  await Promise.all([writeFile(caFile, authority.cert), writeFile(certFile, cert), writeFile(keyFile, key)]);
  const tls = stack.use(await TlsCertificates.open({ certFile, keyFile, logger: silentLogger }));
  const env = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile };
  const cleanUp = stack.move();
  return { tls, ca: authority.cert, caFile, env, [Symbol.asyncDispose]: () => cleanUp.disposeAsync() };
}
