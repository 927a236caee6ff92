import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { systemCodeOf } from "../../src/files/error-code.ts";

/** Linux gives higher ports to connections and to servers that do not name one. */
const [FIRST, BEHIND_LAST] = [20_000, 32_768];

/**
 * A port of loopback that nothing listens on, for programs that cannot pick one themselves. Only a program that names
 * the port can take it before.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(FIRST, BEHIND_LAST);
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if (systemCodeOf(error) !== "EADDRINUSE") {
      throw error;
    }
    return await freePort();
  }
  server.close();
  await once(server, "close");
  return port;
}
