import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import type { ExportMetadata } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { useAnnounce } from "../announce.tsx";
import { saveFile } from "../clipboard.ts";
import { toFailure } from "../failure.ts";
import type { Session } from "../session.ts";
import { bytesInWords, counted } from "../words.ts";

/** How often the progress is drawn, in bytes. */
const DRAWN_BYTES = 500_000;

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "running"; readonly metadata: ExportMetadata | undefined; readonly received: number }
  | { readonly kind: "done" | "stopped" | "failed"; readonly words: string };

/** Downloads the whole cache as one Parquet file. */
export function ExportPart({ session }: { session: Session }): VNode {
  const [state, setState] = useState<State>({ kind: "idle" });
  const controller = useRef<AbortController>(null);
  const announce = useAnnounce();
  const run = async (): Promise<void> => {
    const { signal } = (controller.current = new AbortController());
    let metadata: ExportMetadata | undefined;
    let received = 0;
    let drawn = 0;
    const parts: BlobPart[] = [];
    setState({ kind: "running", metadata, received });
    try {
      for await (const { part } of session.client.export({}, { signal })) {
        if (part.case === "metadata") {
          metadata = part.value;
        } else if (part.case === "data") {
          parts.push(new Uint8Array(part.value));
          received += part.value.byteLength;
        }
        if (received - drawn >= DRAWN_BYTES || drawn === 0) {
          drawn = received;
          setState({ kind: "running", metadata, received });
        }
      }
      if (metadata === undefined || BigInt(received) !== metadata.sizeBytes) {
        throw new TypeError("the file is not whole");
      }
      saveFile(metadata.fileName, metadata.mediaType, parts);
      const words = `${metadata.fileName}: ${counted(Number(metadata.rowCount), "vehicle")}, ${bytesInWords(received)}.`;
      setState({ kind: "done", words });
      announce(words);
    } catch (error) {
      const { kind, sentence } = toFailure(error);
      setState({ kind: kind === "stopped" ? "stopped" : "failed", words: sentence });
    }
  };
  return (
    <section class="action">
      <h2>Export</h2>
      <p class="hint">Downloads the whole cache as one Parquet file.</p>
      <div class="row">
        {state.kind === "running" ? (
          <button type="button" onClick={() => controller.current?.abort()}>
            Stop
          </button>
        ) : (
          <button type="button" onClick={() => void run()}>
            Export
          </button>
        )}
        {state.kind === "running" && <ExportProgress {...state} />}
      </div>
      {state.kind === "done" && <p class="check right">{state.words}</p>}
      {state.kind === "stopped" && <p class="check">{state.words}</p>}
      {state.kind === "failed" && (
        <p class="check wrong" role="alert">
          {state.words}
        </p>
      )}
    </section>
  );
}

function ExportProgress({ metadata, received }: { metadata: ExportMetadata | undefined; received: number }): VNode {
  const size = Number(metadata?.sizeBytes ?? 0);
  return (
    <div class="export-progress">
      <progress max={Math.max(size, 1)} value={received} aria-label="Exported" />
      <span class="hint">
        {metadata === undefined ? "The file is being written." : `${bytesInWords(received)} of ${bytesInWords(size)}`}
      </span>
    </div>
  );
}
