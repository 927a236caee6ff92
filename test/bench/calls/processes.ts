import { existsSync } from "node:fs";
import { join } from "node:path";

import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { Load } from "./load.ts";
import type { ServiceOptions } from "./service.ts";
import { Service } from "./service.ts";
import type { YardstickKind } from "./yardstick.ts";
import { Yardstick } from "./yardstick.ts";

/** Starts the processes of one measurement. Dispose of it to end them all. */
export class Processes implements AsyncDisposable {
  readonly #directory: string;
  readonly #started = new AsyncDisposableStack();
  #ended: Promise<void> | undefined;

  /** @param directory has the snapshot that an earlier service unpacked */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Starts a service that does not have to unpack the snapshot, which would take time and leave memory in use. */
  async startService(options: Omit<ServiceOptions, "dataDir"> = {}): Promise<Service> {
    const dataDir = join(this.#directory, options.checkout === undefined ? "data" : "data-before");
    if (!existsSync(dataDir)) {
      await using _unpacking = await Service.start({ ...options, dataDir });
    }
    return await this.#keep(await Service.start({ ...options, dataDir }));
  }

  /** Starts a service with an empty data directory. */
  async startFirst(): Promise<Service> {
    const { path } = await this.#keep(await temporaryDirectory());
    return await this.#keep(await Service.start({ dataDir: join(path, "data") }));
  }

  async startYardstick(kind: YardstickKind): Promise<Yardstick> {
    return await this.#keep(await Yardstick.start(kind));
  }

  async startLoad(): Promise<Load> {
    return await this.#keep(Load.start());
  }

  /** May be called more than once. Also ends a process that is just starting. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#started.disposeAsync();
    await this.#ended;
  }

  async #keep<Started extends AsyncDisposable>(started: Started): Promise<Started> {
    if (this.#ended === undefined) {
      return this.#started.use(started);
    }
    await started[Symbol.asyncDispose]();
    throw new Error("the benchmark was stopped");
  }
}
