import type { Decode, SourceName, VehicleQuery, VehicleSource } from "../../src/vehicle/vehicle.ts";
import { aVehicle } from "./a-vehicle.ts";

type Script = (query: VehicleQuery, signal: AbortSignal) => Promise<Decode> | Decode;

/** A source that follows a test's script, and records its queries. */
export class ScriptedSource implements VehicleSource {
  readonly name: SourceName;
  readonly asked: VehicleQuery[] = [];
  readonly signals: AbortSignal[] = [];
  script: Script;

  constructor(name: SourceName, script?: Script) {
    this.name = name;
    this.script = script ?? ((query) => aVehicle({ vin: query.vin, source: name }));
  }

  async decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    signal.throwIfAborted();
    this.asked.push(query);
    this.signals.push(signal);
    return this.script(query, signal);
  }
}

/** A script whose queries a test answers one after the other. */
export function byHand(): { script: Script; answers: PromiseWithResolvers<Decode>[] } {
  const answers: PromiseWithResolvers<Decode>[] = [];
  const script: Script = () => {
    const answer = Promise.withResolvers<Decode>();
    answers.push(answer);
    return answer.promise;
  };
  return { script, answers };
}
