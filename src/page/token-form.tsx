import type { VNode } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";

interface TokenFormProps {
  /** Why a token is wanted, in a sentence. */
  readonly reason: string;
  readonly onToken: (token: string) => void;
}

/** Asks for a token. It is kept in memory until the page is closed or loaded again. */
export function TokenForm({ reason, onToken }: TokenFormProps): VNode {
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => field.current?.focus(), [reason]);
  // When the form goes, the focus would be lost. Other effects are undone only after that.
  useLayoutEffect(() => {
    const element = form.current;
    return () => leaveFocus(element);
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const token = text.trim();
    if (token !== "") {
      onToken(token);
      setText("");
    }
  };
  return (
    <form ref={form} class="notice token" onSubmit={submit}>
      <p id={`${id}-reason`} role="alert">
        {reason}
      </p>
      <label for={id}>Token</label>
      <div class="row">
        <input
          id={id}
          ref={field}
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          maxLength={600}
          aria-describedby={`${id}-reason ${id}-hint`}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <button class="primary">Use token</button>
      </div>
      <p id={`${id}-hint`} class="hint">
        It begins with vs_. This page keeps it in memory only, until you close or reload it.
      </p>
    </form>
  );
}

function leaveFocus(form: HTMLElement | null): void {
  if (form?.contains(document.activeElement) === true) {
    form.closest<HTMLElement>("[role=tabpanel]")?.focus();
  }
}
