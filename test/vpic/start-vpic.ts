import type { FakeVpic, FakeVpicOptions } from "../support/fake-vpic.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import type { VpicPolicyOptions, VpicSource } from "../../src/vpic/vpic-source.ts";
import { createVpicSource } from "../../src/vpic/vpic-source.ts";
import { MemoryLogger } from "../support/memory-logger.ts";

export interface StartedVpic extends AsyncDisposable {
  readonly vpic: FakeVpic;
  readonly source: VpicSource;
}

/** Starts a fake vPIC and a source that asks it, with the shortest pauses between attempts by default. */
export async function startVpic(
  fakeOptions: FakeVpicOptions = {},
  sourceOptions: Partial<VpicPolicyOptions> = {},
): Promise<StartedVpic> {
  const vpic = await startFakeVpic(fakeOptions);
  const source = createVpicSource({
    baseUrl: vpic.url,
    userAgent: "VehicleService/1.2.3",
    logger: new MemoryLogger(),
    random: () => 0,
    ...sourceOptions,
  });
  return {
    vpic,
    source,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await vpic[Symbol.asyncDispose]();
    },
  };
}
