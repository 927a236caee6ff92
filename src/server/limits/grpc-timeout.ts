const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** The header `grpc-timeout` in ms: up to eight digits and a unit. Undefined when it is anything else. */
export function parseGrpcTimeout(value: string): number | undefined {
  const match = /^(?<amount>\d{1,8})(?<unit>[HMSmun])$/.exec(value);
  const unit = unitMs[match?.groups?.["unit"] ?? ""];
  return unit === undefined ? undefined : Number(match?.groups?.["amount"]) * unit;
}
