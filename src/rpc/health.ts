import type { ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Health } from "#gen/health/v1/health_pb.ts";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "#gen/health/v1/health_pb.ts";

/** The RPCs of grpc.health.v1, and the way to change what they report. */
export interface HealthService {
  readonly handlers: ServiceImpl<typeof Health>;
  /** Reports every service as SERVING or NOT_SERVING from now on. Watchers are notified. */
  readonly setServing: (isServing: boolean) => void;
  /** Reports NOT_SERVING for good, and ends the streams of watchers so that they do not hold up a drain. */
  readonly stopServing: () => void;
}

/**
 * Serves grpc.health.v1 for a fixed set of services. They are NOT_SERVING until {@link HealthService.setServing}.
 *
 * @param services full names; the server as a whole, with the empty name, is added
 */
export function createHealthService(services: readonly string[]): HealthService {
  const names: ReadonlySet<string> = new Set(["", ...services]);
  const watchers = new Set<() => void>();
  let status: ServingStatus = ServingStatus.NOT_SERVING;
  let isStopping = false;

  function notify(): void {
    for (const wake of watchers) {
      wake();
    }
  }

  /** Waits until the status changes or the watcher's call ends. */
  async function waitForChange(signal: AbortSignal): Promise<void> {
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
          throw new ConnectError("unknown service; call List for the names of those that are served", Code.NotFound);
        }
        return { status };
      },

      list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status }])) }),

      async *watch({ service }, { signal }) {
        let reported: ServingStatus | undefined;
        for (;;) {
          const current = names.has(service) ? status : ServingStatus.SERVICE_UNKNOWN;
          if (current !== reported) {
            reported = current;
            yield { status: current };
          } else if (isStopping) {
            throw new ConnectError("the service is shutting down", Code.Unavailable);
          } else {
            signal.throwIfAborted();
            await waitForChange(signal);
          }
        }
      },
    },

    setServing(isServing) {
      if (!isStopping) {
        status = isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
        notify();
      }
    },

    stopServing() {
      isStopping = true;
      status = ServingStatus.NOT_SERVING;
      notify();
    },
  };
}
