import type { ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Health } from "#gen/health/v1/health_pb.ts";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "#gen/health/v1/health_pb.ts";

/** The RPCs of grpc.health.v1, and the way to end them. */
export interface HealthService {
  readonly handlers: ServiceImpl<typeof Health>;
  /**
   * Reports every service as NOT_SERVING from now on. Watchers are notified, and their streams are ended so that they
   * do not hold up a drain.
   */
  readonly stopServing: () => void;
}

/**
 * Serves grpc.health.v1 for a fixed set of services. They are SERVING until {@link HealthService.stopServing}.
 *
 * @param services full names; the server as a whole, with the empty name, is added
 */
export function createHealthService(services: readonly string[]): HealthService {
  const names: ReadonlySet<string> = new Set(["", ...services]);
  const watchers = new Set<() => void>();
  let status: ServingStatus = ServingStatus.SERVING;

  /** Waits until the services stop serving or the watcher's call ends, whichever comes first. */
  async function stopOrEndOf(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    watchers.add(wake);
    signal.addEventListener("abort", wake);
    await promise;
    watchers.delete(wake);
    signal.removeEventListener("abort", wake);
  }

  return {
    handlers: {
      check({ service }) {
        if (!names.has(service)) {
          throw new ConnectError("unknown service; List names those that are served", Code.NotFound);
        }
        return { status };
      },

      list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status }])) }),

      async *watch({ service }, { signal }) {
        const isKnown = names.has(service);
        const first = status;
        yield { status: isKnown ? first : ServingStatus.SERVICE_UNKNOWN };
        // The status may have changed and the call may have ended since the watcher took the last message.
        if (status === ServingStatus.SERVING && !signal.aborted) {
          await stopOrEndOf(signal);
        }
        signal.throwIfAborted();
        if (isKnown && status !== first) {
          yield { status };
        }
        throw new ConnectError("the service is shutting down", Code.Unavailable);
      },
    },

    stopServing() {
      status = ServingStatus.NOT_SERVING;
      for (const wake of watchers) {
        wake();
      }
    },
  };
}
