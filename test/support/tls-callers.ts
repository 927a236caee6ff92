import { Agent } from "node:https";

import { type Client, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { Client as GrpcClient, credentials, Metadata } from "@grpc/grpc-js";

import { create, toBinary } from "@bufbuild/protobuf";
import { LookupRequestSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import type { Addresses } from "./clients.ts";
import type { MakeCall } from "./steady-calls.ts";

/** A caller's certificate and token, and the authority that it trusts. */
export interface CallerIdentity {
  /** The authority of the service's certificates, as PEM. */
  readonly ca: string;
  /** The caller's own certificate and key, as PEM. */
  readonly cert?: string;
  readonly key?: string;
  /** The secret of its token. */
  readonly secret?: string;
}

/** Callers with every kind of client. Each keeps its connection, unless its name says otherwise. */
export class TlsCallers implements Disposable {
  /** Each looks up the VIN. */
  readonly lookups: Readonly<Record<string, MakeCall>>;
  /** connect-node's clients. */
  readonly clients: Readonly<Record<string, Client<typeof VehicleService>>>;
  readonly #disposables = new DisposableStack();

  constructor({ grpcAddress, httpAddress }: Addresses, vin: string, { secret, ...tls }: CallerIdentity) {
    const headers: Record<string, string> = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
    const http1 = { baseUrl: `https://${httpAddress}`, httpVersion: "1.1" } as const;
    const http2 = { baseUrl: `https://${httpAddress}`, httpVersion: "2" } as const;
    const agent = this.#disposables.adopt(new Agent({ keepAlive: true, maxSockets: 1, ...tls }), (it) => it.destroy());
    const sessions = (address: string): Http2SessionManager =>
      this.#disposables.adopt(new Http2SessionManager(`https://${address}`, {}, tls), (it) => it.abort());
    const transports: Record<string, Transport> = {
      "Connect on HTTP/1.1": createConnectTransport({ ...http1, nodeOptions: { agent } }),
      "Connect on HTTP/2": createConnectTransport({ ...http2, sessionManager: sessions(httpAddress) }),
      "gRPC-Web on HTTP/2": createGrpcWebTransport({ ...http2, sessionManager: sessions(httpAddress) }),
      "gRPC of connect-node": createGrpcTransport({
        baseUrl: `https://${grpcAddress}`,
        sessionManager: sessions(grpcAddress),
      }),
    };
    this.clients = mapValues(transports, (transport) => createClient(VehicleService, transport));
    const fresh = createClient(
      VehicleService,
      createConnectTransport({ ...http1, nodeOptions: { agent: new Agent({ keepAlive: false, ...tls }) } }),
    );
    this.lookups = {
      ...mapValues(this.clients, (client) => () => client.lookup({ vin }, { headers })),
      "a connection for each call": () => fresh.lookup({ vin }, { headers }),
      "grpc-js": this.#grpcJs(grpcAddress, vin, headers, tls),
    };
  }

  [Symbol.dispose](): void {
    this.#disposables.dispose();
  }

  #grpcJs(address: string, vin: string, headers: Record<string, string>, { ca, cert, key }: CallerIdentity): MakeCall {
    const [rootCerts, privateKey, certChain] = [ca, key, cert].map((pem) =>
      pem === undefined ? null : Buffer.from(pem),
    );
    const client = this.#disposables.adopt(
      new GrpcClient(address, credentials.createSsl(rootCerts, privateKey, certChain), {
        "grpc.ssl_target_name_override": "localhost",
        // Each client has a connection of its own.
        "grpc.use_local_subchannel_pool": 1,
      }),
      (it) => it.close(),
    );
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) {
      metadata.set(name, value);
    }
    const request = Buffer.from(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin })));
    return async () =>
      await new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          `/${VehicleService.typeName}/Lookup`,
          (message: Buffer) => message,
          (message: Buffer) => message,
          request,
          metadata,
          (error, message) => (error === null ? resolve(message) : reject(error)),
        );
      });
  }
}

function mapValues<In, Out>(record: Readonly<Record<string, In>>, map: (value: In) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
