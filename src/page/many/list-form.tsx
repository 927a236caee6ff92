import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { counted, numberInWords, toSentence } from "../words.ts";
import { queriesOf, type ListRow, type ParsedList } from "./parse-list.ts";
import { readFile } from "./read-file.ts";
import { reportOn } from "./report.ts";

/** So many rows without a VIN are listed before anything is sent. */
const LISTED_FAULTS = 8;
const LONG_TEXT = 10_000;

interface ListFormProps {
  readonly text: string;
  readonly list: ParsedList | undefined;
  readonly onText: (text: string) => void;
  /** Called when the user wants the model years to be sent, or not. */
  readonly onUsesYears: (usesYears: boolean) => void;
  readonly onStart: (list: ParsedList) => void;
}

/** Takes a list, and says what was understood of it before anything is sent. */
export function ListForm({ text, list, onText, onUsesYears, onStart }: ListFormProps): VNode {
  const [fault, setFault] = useState<string>();
  const [isOver, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined) {
      return;
    }
    try {
      onText(await readFile(file));
      setFault(undefined);
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    const [file] = event.dataTransfer?.files ?? [];
    const dropped = event.dataTransfer?.getData("text") ?? "";
    if (file === undefined && dropped !== "") {
      onText(dropped);
    }
    void take(file);
  };
  return (
    <div class="list-form">
      <div
        class={isOver ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <label for="list">VINs</label>
        <textarea
          id="list"
          name="list"
          rows={10}
          spellcheck={false}
          autocomplete="off"
          placeholder={"Paste a column, a table or any text with VINs,\nor drop a CSV, TSV or text file here"}
          aria-describedby="list-hint"
          value={text}
          onInput={({ currentTarget }) => onText(currentTarget.value)}
          onPaste={(event) => pasteLong(event, onText)}
        />
        <p id="list-hint" class="hint">
          Nothing is sent until you press Look up.
        </p>
        <div class="row">
          <input
            ref={chooser}
            type="file"
            class="visually-hidden"
            tabIndex={-1}
            aria-hidden="true"
            accept=".csv,.tsv,.txt,text/*"
            onChange={({ currentTarget }) => {
              void take(currentTarget.files?.[0]);
              currentTarget.value = "";
            }}
          />
          <button type="button" onClick={() => chooser.current?.click()}>
            Choose a file
          </button>
          {text !== "" && (
            <button type="button" onClick={() => onText("")}>
              Clear
            </button>
          )}
        </div>
      </div>
      <div class="report" aria-live="polite">
        {fault !== undefined && <p class="notice bad">{fault}</p>}
        {list === undefined ? <Kinds /> : <Report list={list} onUsesYears={onUsesYears} onStart={onStart} />}
      </div>
    </div>
  );
}

/** Browsers take minutes to insert 20,000 lines as if they were typed, so a long text is set at once. */
function pasteLong(event: ClipboardEvent, onText: (text: string) => void): void {
  const pasted = event.clipboardData?.getData("text") ?? "";
  const area = event.currentTarget;
  if (pasted.length > LONG_TEXT && area instanceof HTMLTextAreaElement) {
    event.preventDefault();
    const { value, selectionStart, selectionEnd } = area;
    onText(value.slice(0, selectionStart) + pasted + value.slice(selectionEnd));
  }
}

function Kinds(): VNode {
  return (
    <>
      <h2 class="quiet">Accepted input</h2>
      <ul class="notes">
        <li>One VIN per line, a column of a spreadsheet, CSV, TSV, or text with VINs in it.</li>
        <li>Blanks and dashes inside VINs, quotes, headers, empty rows and duplicates are no problem.</li>
        <li>20,000 rows and more. The download keeps your own columns.</li>
      </ul>
    </>
  );
}

interface ReportProps extends Pick<ListFormProps, "onUsesYears" | "onStart"> {
  readonly list: ParsedList;
}

function Report({ list, onUsesYears, onStart }: ReportProps): VNode {
  const queries = queriesOf(list);
  const faulty = list.rows.filter(({ vin }) => vin === undefined);
  return (
    <>
      <h2>
        {counted(queries.length, "VIN")} <span class="body-class">in {counted(list.rows.length, "row")}</span>
      </h2>
      {list.yearColumn !== undefined && (
        <YearChoice name={list.columns[list.yearColumn] ?? ""} isChosen={list.usesYears} onChoice={onUsesYears} />
      )}
      <button type="button" class="primary" disabled={queries.length === 0} onClick={() => onStart(list)}>
        Look up {queries.length > 0 ? counted(queries.length, "VIN") : ""}
      </button>
      <ul class="notes">
        {reportOn(list).map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
      {faulty.length > 0 && <Faults rows={faulty} />}
    </>
  );
}

interface YearChoiceProps {
  /** Of the column with the model years. */
  readonly name: string;
  readonly isChosen: boolean;
  readonly onChoice: (isChosen: boolean) => void;
}

function YearChoice({ name, isChosen, onChoice }: YearChoiceProps): VNode {
  return (
    <div class="choice">
      <input
        id="uses-years"
        type="checkbox"
        checked={isChosen}
        aria-describedby="uses-years-hint"
        onChange={({ currentTarget }) => onChoice(currentTarget.checked)}
      />
      <label for="uses-years">Use “{name}” as the model year</label>
      <p id="uses-years-hint" class="hint">
        It overrides the year in the VIN. Turn it off if it may be another year, such as that of registration.
      </p>
    </div>
  );
}

function Faults({ rows }: { rows: readonly ListRow[] }): VNode {
  const more = rows.length - LISTED_FAULTS;
  return (
    <div class="faults">
      <h3>
        {counted(rows.length, "row")} {rows.length === 1 ? "has" : "have"} no VIN and {rows.length === 1 ? "is" : "are"}{" "}
        not sent
      </h3>
      <ul>
        {rows.slice(0, LISTED_FAULTS).map(({ line, text, fault, meant }) => (
          <li key={line}>
            <span class="hint">Line {numberInWords(line)}</span> <span class="vin">{text.trim().slice(0, 40)}</span>
            <br />
            {toSentence(fault ?? "")}
            {meant !== undefined && (
              <>
                {" "}
                Likely <span class="vin">{meant}</span>.
              </>
            )}
          </li>
        ))}
      </ul>
      {more > 0 && <p class="hint">and {numberInWords(more)} more</p>}
    </div>
  );
}
