import { once } from "node:events";
import { createServer } from "node:http";
import { portOf } from "../../support/port-of.ts";

/** A web site that is not the service's, under two names of loopback. */
export interface ForeignSite extends AsyncDisposable {
  /** Of another origin than the service, but of the same site, since ports do not count for sites. */
  readonly sameSiteOrigin: string;
  /** Of another site. */
  readonly crossSiteOrigin: string;
}

/** Starts a site whose every page is empty. */
export async function startForeignSite(): Promise<ForeignSite> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>foreign</title>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  return {
    sameSiteOrigin: `http://127.0.0.1:${port}`,
    crossSiteOrigin: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
