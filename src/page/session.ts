import type { Client } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { watchedFetch } from "./failure.ts";

/** Protocols that browsers can speak, by their names. */
export const PROTOCOLS = ["Connect", "gRPC-Web"] as const;

type Protocol = (typeof PROTOCOLS)[number];

/** The answer of `/status`. */
export interface ServiceStatus {
  readonly version: string;
  /** How many processes serve. */
  readonly workers: number;
  /** In the order in which they are asked. */
  readonly sources: readonly string[];
  readonly snapshot: { readonly state?: string; readonly dataDate?: string; readonly isEmbedded: boolean };
  readonly access: {
    readonly caller?: string;
    readonly scopes: readonly string[];
    /** Why the caller may do nothing. */
    readonly refusal?: string;
  };
  readonly cache?: {
    readonly entries: readonly {
      readonly source: string;
      readonly isNegative: boolean;
      readonly count: number;
      /** In ms since the epoch. */
      readonly oldestAt: number;
    }[];
    readonly bytes: number;
  };
}

/** Shared by all parts of the page: the client, the token and the status of the service. */
export interface Session {
  readonly client: Client<typeof VehicleService>;
  readonly protocol: Protocol;
  readonly setProtocol: (protocol: Protocol) => void;
  /** Kept in memory only. Empty when none is set. */
  readonly token: string;
  readonly setToken: (token: string) => void;
  /** Undefined until it is known. */
  readonly status: ServiceStatus | undefined;
  /** Whether the service has tokens. */
  readonly needsToken: boolean;
  readonly refreshStatus: () => Promise<void>;
}

/** How often the page asks whether the snapshot is unpacked, in ms. */
const PREPARING_MS = 2_000;

const fetchWatched = watchedFetch((input, init) => fetch(input, init));

/** Sets up the session when the page opens. */
export function useSession(): Session {
  const [protocol, setProtocol] = useState<Protocol>("Connect");
  const [token, setToken] = useState("");
  const [status, setStatus] = useState<ServiceStatus>();
  const client = useMemo(() => createServiceClient(protocol, token), [protocol, token]);
  const latest = useRef(0);
  const refreshStatus = useCallback(async () => {
    const number = ++latest.current;
    try {
      const response = await fetchWatched("/status", { headers: toHeaders(token) });
      const next = await response.json();
      // An earlier answer that arrives late may be for another token.
      if (number === latest.current) {
        setStatus(next);
      }
    } catch {
      // The figures that stand there are old then, and the part that shows them says so.
    }
  }, [token]);
  useEffect(() => void refreshStatus(), [refreshStatus]);
  const isPreparing = status?.snapshot.state === "preparing";
  useEffect(() => {
    const timer = isPreparing ? setTimeout(() => void refreshStatus(), PREPARING_MS) : undefined;
    return () => clearTimeout(timer);
  }, [status]);
  const needsToken = token !== "" || status?.access.refusal !== undefined;
  return { client, protocol, setProtocol, token, setToken, status, needsToken, refreshStatus };
}

function createServiceClient(protocol: Protocol, token: string): Client<typeof VehicleService> {
  const create = protocol === "Connect" ? createConnectTransport : createGrpcWebTransport;
  const transport = create({
    baseUrl: location.origin,
    useBinaryFormat: true,
    fetch: fetchWatched,
    interceptors: [
      (next) => (request) => {
        for (const [name, value] of Object.entries(toHeaders(token))) {
          request.header.set(name, value);
        }
        return next(request);
      },
    ],
  });
  return createClient(VehicleService, transport);
}

function toHeaders(token: string): Record<string, string> {
  return token === "" ? {} : { authorization: `Bearer ${token}` };
}
