import type { RefObject, VNode } from "preact";
import type { VinCheck } from "./check-vin.ts";
import { checkVin } from "./check-vin.ts";
import { modelYearRange, parseModelYear } from "./query.ts";
import { tidyVin } from "./tidy-vin.ts";

interface VinFormProps {
  readonly text: string;
  readonly year: string;
  readonly yearField: RefObject<HTMLInputElement | null>;
  /** Whether this VIN is asked with this year at the moment. */
  readonly isAsking: boolean;
  readonly onText: (text: string) => void;
  readonly onYear: (year: string) => void;
  readonly onPaste: (text: string) => void;
  readonly onSubmit: (vin: string, year: string) => void;
}

/** The fields for one VIN, which are checked while someone types. */
export function VinForm(props: VinFormProps): VNode {
  const { text, year, yearField, isAsking, onText, onYear, onPaste, onSubmit } = props;
  const check = checkVin(text);
  const yearFault = faultOfYear(year);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (check.state === "good" && yearFault === undefined && !isAsking) {
      hideTouchKeyboard();
      onSubmit(check.vin, year);
    }
  };
  const paste = (event: ClipboardEvent): void => {
    const pasted = event.clipboardData?.getData("text") ?? "";
    const field = event.currentTarget;
    const replacesAll = field instanceof HTMLInputElement && selectionLength(field) === field.value.length;
    // A part of a VIN is pasted as usual.
    if (replacesAll || tidyVin(pasted).length >= 17) {
      event.preventDefault();
      onPaste(pasted);
    }
  };
  return (
    <form class="vin-form" onSubmit={submit} noValidate>
      <div class="field vin-field">
        <label for="vin">VIN</label>
        <input
          id="vin"
          name="vin"
          class="vin"
          placeholder="17 letters and digits"
          autocomplete="off"
          autocapitalize="characters"
          spellcheck={false}
          autoFocus
          value={text}
          aria-invalid={check.state === "wrong"}
          aria-describedby="vin-check"
          onInput={({ currentTarget }) => onText(currentTarget.value)}
          onPaste={paste}
        />
      </div>
      <div class="field year-field">
        <label for="year">
          Model year <span class="optional">optional</span>
        </label>
        <input
          id="year"
          ref={yearField}
          name="year"
          inputMode="numeric"
          autocomplete="off"
          maxLength={4}
          placeholder="as in VIN"
          value={year}
          aria-invalid={yearFault !== undefined}
          aria-describedby="vin-check"
          onInput={({ currentTarget }) => onYear(currentTarget.value.trim())}
        />
      </div>
      {/* A disabled button would lose the focus of who presses it by keyboard. */}
      <button
        class="primary"
        disabled={check.state !== "good" || yearFault !== undefined}
        aria-disabled={isAsking ? true : undefined}
      >
        {isAsking ? "Looking up" : "Look up"}
      </button>
      <div id="vin-check" class="check" aria-live="polite">
        {yearFault === undefined ? <CheckLine check={check} onText={onText} /> : <p class="wrong">{yearFault}</p>}
      </div>
    </form>
  );
}

function CheckLine({ check, onText }: { check: VinCheck; onText: (text: string) => void }): VNode {
  if (check.state === "empty") {
    return <p>Type a VIN, or paste one or many anywhere on this page.</p>;
  }
  if (check.state === "partial") {
    return <p>{check.words}</p>;
  }
  if (check.state === "good") {
    return <p class={check.tone}>{check.words}</p>;
  }
  const { words, meant } = check;
  return (
    <p class="wrong">
      {words}
      {meant !== undefined && (
        <button type="button" class="small" onClick={() => onText(meant)}>
          Use <span class="vin">{meant}</span>
        </button>
      )}
    </p>
  );
}

/** It would cover the answer. */
function hideTouchKeyboard(): void {
  const field = document.activeElement;
  if (field instanceof HTMLInputElement && matchMedia("(pointer: coarse)").matches) {
    field.blur();
  }
}

function selectionLength({ selectionStart, selectionEnd }: HTMLInputElement): number {
  return (selectionEnd ?? 0) - (selectionStart ?? 0);
}

function faultOfYear(year: string): string | undefined {
  if (year === "" || parseModelYear(year) !== undefined) {
    return undefined;
  }
  const { first, last } = modelYearRange();
  return `A model year is a number from ${first} to ${last}, such as 2014.`;
}
