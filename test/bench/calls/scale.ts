import type { Shape } from "./load.ts";

/** The sizes and durations of the measurements. */
export interface Scale {
  /** The number of interleaved runs, and of repetitions of a measurement. */
  readonly rounds: number;
  /** Of one run of a server. */
  readonly seconds: number;
  /** Of a run with many waiting callers, with bursts, or with overload. */
  readonly longSeconds: number;
  /** Number of waiting callers, by protocol. */
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

/** Shows within seconds that everything runs. Its figures mean nothing. */
export const SMOKE: Scale = {
  rounds: 1,
  seconds: 0.3,
  longSeconds: 0.5,
  waiting: { grpc: { connections: 2, callsEach: 10 }, connect: { connections: 10, callsEach: 1 } },
  burst: { connections: 5, callsEach: 20 },
  lookupsBeforeRss: 1_000,
};
