const SERVICE = 'grpc_service="vehicle.v1.VehicleService"';
/** Upper bounds of buckets in seconds, with the part of all calls that are at most as slow. */
const LOOKUP_TIMES = { "0.001": 0.31, "0.005": 0.72, "0.025": 0.81, "0.1": 0.9, "0.5": 0.985, "2.5": 1, "+Inf": 1 };
const VPIC_TIMES = { "0.05": 0.1, "0.1": 0.6, "0.25": 0.95, "1": 1, "+Inf": 1 };

/** The metrics of a busy service at one of many readings, which are two seconds apart. */
export function scriptedMetrics(reading: number): string {
  const wave = Math.round(40 * Math.sin(reading / 5) + 12 * Math.sin(reading * 1.7));
  const lookups = 90 * reading + wave + 81_344;
  const vpic = 3 * reading + Math.round(2 * Math.sin(reading / 3)) + 2_210;
  const counts: Readonly<Record<string, number>> = {
    'vehicle_lookups_total{result="fresh",source="vpic"}': Math.round(lookups * 0.86),
    'vehicle_lookups_total{result="stale",source="vpic"}': 112,
    'vehicle_lookups_total{result="decoded",source="vpic"}': Math.round(lookups * 0.13),
    'vehicle_lookups_total{result="not_decoded",source="vpic"}': 48,
    'vehicle_lookups_total{result="failed",source=""}': 9,
    [handled("Lookup", "OK")]: lookups,
    [handled("Lookup", "NOT_FOUND")]: 48,
    [handled("Lookup", "INVALID_ARGUMENT")]: 311,
    [handled("BatchLookup", "OK")]: 27,
    [handled("Export", "OK")]: 3,
    vpic_requests_total: vpic,
    vehicle_calls_in_flight: Math.max(0, Math.round(4 + 3 * Math.sin(reading / 4))),
    vehicle_vpic_waiting_requests: reading % 17 === 0 ? 2 : 0,
    vehicle_vpic_gathering_vins: reading % 5 === 0 ? 3 : 0,
    vehicle_vpic_available_requests: 14,
    vehicle_vpic_running_requests: 1,
    vehicle_vpic_breaker_closed: 1,
    vehicle_vpic_breaker_half_open: 0,
    vehicle_vpic_breaker_open: 0,
    vehicle_calls_refused_total: 4,
    process_start_time_seconds: Math.round(Date.now() / 1_000) - 90_000,
    ...buckets("grpc_server_handling_seconds_bucket", `grpc_method="Lookup",${SERVICE},`, LOOKUP_TIMES, lookups),
    ...buckets("vpic_request_duration_seconds_bucket", "", VPIC_TIMES, vpic),
  };
  return Object.entries(counts)
    .map(([name, value]) => `${name} ${value}\n`)
    .join("");
}

function handled(method: string, code: string): string {
  return `grpc_server_handled_total{${SERVICE},grpc_method="${method}",grpc_code="${code}"}`;
}

function buckets(
  name: string,
  labels: string,
  shares: Readonly<Record<string, number>>,
  count: number,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(shares).map(([le, share]) => [`${name}{${labels}le="${le}"}`, Math.round(share * count)]),
  );
}
