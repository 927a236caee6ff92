import { ChildScript } from "../../support/child-script.ts";

/** A server that does almost nothing, to compare the service with. */
export type YardstickKind = "grpc-js" | "connect-node" | "node:http2" | "node:http";

export interface YardstickAddress {
  /** `host:port` */
  readonly address: string;
}

/** A yardstick in a process of its own. */
export class Yardstick extends ChildScript<{ readonly kind: YardstickKind }, YardstickAddress> {
  readonly kind: YardstickKind;
  address = "";

  private constructor(kind: YardstickKind) {
    super(new URL("yardstick-process.ts", import.meta.url));
    this.kind = kind;
  }

  static async start(kind: YardstickKind): Promise<Yardstick> {
    const yardstick = new Yardstick(kind);
    ({ address: yardstick.address } = await yardstick.ask({ kind }));
    return yardstick;
  }
}
