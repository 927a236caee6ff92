import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAuthority } from "../support/certificates.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TrustedAuthority } from "./clients/client.ts";

/** The files of a service that speaks TLS, and of its clients. */
export interface TlsFilesOnDisk extends TrustedAuthority, AsyncDisposable {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Writes a certificate for `localhost` and `127.0.0.1`, its key and its authority to a directory of their own. */
export async function writeTlsFiles(): Promise<TlsFilesOnDisk> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const authority = createAuthority();
  const { cert, key } = authority.issue("localhost");
  const files = {
    ca: authority.cert,
    caFile: join(directory.path, "ca.pem"),
    certFile: join(directory.path, "cert.pem"),
    keyFile: join(directory.path, "key.pem"),
  };
  await writeFile(files.caFile, authority.cert);
  await writeFile(files.certFile, cert);
  await writeFile(files.keyFile, key);
  const cleanUp = stack.move();
  return { ...files, [Symbol.asyncDispose]: () => cleanUp.disposeAsync() };
}
