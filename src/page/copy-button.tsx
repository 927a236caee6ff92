import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { copyText } from "./clipboard.ts";
import { useAnnounce } from "./announce.tsx";

const SHOWN_MS = 2_000;

/** A button that copies a text, and says so for a moment. */
export function CopyButton({ label, text }: { label: string; text: () => string }): VNode {
  const [outcome, setOutcome] = useState<string>();
  const announce = useAnnounce();
  const copy = async (): Promise<void> => {
    const words = (await copyText(text())) ? "Copied" : "Not copied";
    setOutcome(words);
    announce(`${words}: ${label}`);
    setTimeout(() => setOutcome(undefined), SHOWN_MS);
  };
  return (
    <button
      type="button"
      class="small"
      // The label is hidden while the outcome is shown.
      aria-label={outcome === undefined ? undefined : `${outcome}: ${label}`}
      data-copied={outcome === "Copied"}
      onClick={() => void copy()}
    >
      <span class="sizer">
        <span class={outcome === undefined ? "" : "away"}>{label}</span>
        <span aria-hidden="true" class={outcome === undefined ? "away" : ""}>
          {outcome ?? "Copied"}
        </span>
      </span>
    </button>
  );
}
