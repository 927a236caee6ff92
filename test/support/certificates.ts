import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

import { der } from "./der.ts";

const ECDSA_WITH_SHA256 = der.sequence(der.id("1.2.840.10045.4.3.2"));
const DAY_MS = 24 * 60 * 60 * 1000;

/** A certificate and its key, as PEM. */
interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority. */
export interface Authority extends Certificate {
  /** A certificate for `localhost` and `127.0.0.1`, and for clients. */
  issue(name: string, validForMs?: number): Certificate;
}

/** A new authority that no client trusts by default. */
export function createAuthority(name = "test authority"): Authority {
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const basics = der.sequence(der.boolean(true));
  return {
    ...write(name, name, own, own.privateKey, [extension("2.5.29.19", basics)], DAY_MS),
    issue(subject, validForMs = DAY_MS) {
      const hosts = der.sequence(der.choice(2, Buffer.from("localhost")), der.choice(7, Buffer.from([127, 0, 0, 1])));
      const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return write(subject, name, keys, own.privateKey, [extension("2.5.29.17", hosts)], validForMs);
    },
  };
}

function write(
  subject: string,
  issuer: string,
  keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  signer: KeyObject,
  extensions: readonly Buffer[],
  validForMs: number,
): Certificate {
  const content = der.sequence(
    der.tagged(0, der.integer(2)),
    der.integer(1, ...randomBytes(8)),
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    der.sequence(der.time(new Date(Date.now() - 2 * DAY_MS)), der.time(new Date(Date.now() + validForMs))),
    nameOf(subject),
    keys.publicKey.export({ type: "spki", format: "der" }),
    der.tagged(3, der.sequence(...extensions)),
  );
  const certificate = der.sequence(content, ECDSA_WITH_SHA256, der.bits(sign("sha256", content, signer)));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64")}\n-----END CERTIFICATE-----\n`,
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function nameOf(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.id("2.5.4.3"), der.text(commonName))));
}

function extension(id: string, content: Buffer): Buffer {
  return der.sequence(der.id(id), der.octets(content));
}
