import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { useAnnounce } from "../announce.tsx";
import { checkVin } from "../check-vin.ts";
import { toFailure } from "../failure.ts";
import type { Session } from "../session.ts";

/** Removes every entry of one VIN from the cache, after a question that names it. */
export function RemovePart({ session }: { session: Session }): VNode {
  const [text, setText] = useState("");
  const [outcome, setOutcome] = useState<{ readonly words: string; readonly isBad: boolean }>();
  const [isRemoving, setRemoving] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const announce = useAnnounce();
  const check = checkVin(text);
  const vin = check.state === "good" ? check.vin : "";

  const ask = (event: Event): void => {
    event.preventDefault();
    if (vin !== "" && !isRemoving) {
      setOutcome(undefined);
      dialog.current?.showModal();
    }
  };
  const remove = async (): Promise<void> => {
    dialog.current?.close();
    setRemoving(true);
    try {
      const { removed } = await session.client.remove({ vin });
      const words = removed ? `${vin} was removed from the cache.` : `The cache had no entry for ${vin}.`;
      setOutcome({ words, isBad: false });
      announce(words);
      void session.refreshStatus();
    } catch (error) {
      setOutcome({ words: toFailure(error).sentence, isBad: true });
    }
    setRemoving(false);
  };
  return (
    <section class="action">
      <h2>Remove</h2>
      <p class="hint">Removes every entry of a VIN from the cache. The next look-up asks the sources again.</p>
      <form class="row" onSubmit={ask} noValidate>
        <input
          name="remove-vin"
          class="vin"
          aria-label="VIN to remove"
          placeholder="VIN"
          autocomplete="off"
          spellcheck={false}
          value={text}
          aria-invalid={check.state === "wrong"}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <button class="danger" disabled={vin === ""} aria-disabled={isRemoving ? true : undefined}>
          Remove …
        </button>
      </form>
      {check.state === "wrong" && <p class="check wrong">{check.words}</p>}
      {outcome !== undefined && (
        <p class={outcome.isBad ? "check wrong" : "check right"} role={outcome.isBad ? "alert" : undefined}>
          {outcome.words}
        </p>
      )}
      <dialog ref={dialog} aria-labelledby="remove-question">
        <h2 id="remove-question">
          Remove <span class="vin">{vin}</span>?
        </h2>
        <p>This removes every entry of this VIN, with and without a model year.</p>
        <div class="row">
          <button type="button" class="danger" onClick={() => void remove()}>
            Remove it
          </button>
          <button type="button" autoFocus onClick={() => dialog.current?.close()}>
            Keep it
          </button>
        </div>
      </dialog>
    </section>
  );
}
