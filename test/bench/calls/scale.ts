import type { Shape } from "./load.ts";

/** How large and how long the measurements are. */
export interface Scale {
  /** Of interleaved runs; of each measurement's own repetitions. */
  readonly rounds: number;
  /** Of one run of one server. */
  readonly seconds: number;
  /** Of a run with many callers that wait, of bursts, and of overload. */
  readonly longSeconds: number;
  /** Callers that wait, by protocol. */
  readonly waiting: { readonly grpc: Shape; readonly connect: Shape };
  readonly burst: Shape;
  readonly lookupsBeforeRss: number;
}

export const FULL: Scale = {
  rounds: 7,
  seconds: 3,
  longSeconds: 10,
  waiting: { grpc: { connections: 10, callsEach: 100 }, connect: { connections: 500, callsEach: 1 } },
  burst: { connections: 95, callsEach: 100 },
  lookupsBeforeRss: 200_000,
};

/** Shows in some seconds that everything runs. Its figures mean nothing. */
export const SMOKE: Scale = {
  rounds: 1,
  seconds: 0.3,
  longSeconds: 0.5,
  waiting: { grpc: { connections: 2, callsEach: 10 }, connect: { connections: 10, callsEach: 1 } },
  burst: { connections: 5, callsEach: 20 },
  lookupsBeforeRss: 1_000,
};
