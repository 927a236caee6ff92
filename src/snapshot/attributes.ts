import type { Labels } from "./elements.ts";
import type { SnapshotContent } from "./snapshot-content.ts";

const LINE_BREAKS = /[\t\r\n]/g;

/** Stores each text once. */
export class Texts {
  readonly #places = new Map<string, number>([["", 0]]);

  placeOf(text: string): number {
    const place = this.#places.get(text) ?? this.#places.size;
    this.#places.set(text, place);
    return place;
  }

  collected(): string[] {
    return [...this.#places.keys()];
  }
}

/** Stores each value of each variable once. */
export class Attributes {
  readonly #texts: Texts;
  /** Of each public variable: the names in its look-up table, and the positions of its values. */
  readonly #variables: ReadonlyMap<number, { readonly labels: Labels; readonly places: Map<string, number> }>;
  readonly #elementId: number[] = [];
  readonly #id: number[] = [];
  readonly #value: number[] = [];

  constructor(texts: Texts, labels: ReadonlyMap<number, Labels>) {
    this.#texts = texts;
    this.#variables = new Map([...labels].map(([id, names]) => [id, { labels: names, places: new Map() }]));
  }

  /** The position of a value; undefined when the variable is not public. */
  placeOf(elementId: number, attributeId: string): number | undefined {
    const variable = this.#variables.get(elementId);
    if (variable === undefined) {
      return undefined;
    }
    const { labels, places } = variable;
    let place = places.get(attributeId);
    if (place === undefined) {
      place = this.#id.length;
      places.set(attributeId, place);
      this.#elementId.push(elementId);
      this.#id.push(this.#texts.placeOf(attributeId));
      // vPIC prints the id when the look-up table has no such row.
      this.#value.push(this.#texts.placeOf(printed(labels.get(attributeId) ?? attributeId)));
    }
    return place;
  }

  collected(): SnapshotContent["attributes"] {
    return {
      elementId: Uint16Array.from(this.#elementId),
      id: Uint32Array.from(this.#id),
      value: Uint32Array.from(this.#value),
    };
  }
}

/** A value as vPIC prints it: on one line and trimmed. */
export function printed(value: string): string {
  return value.replaceAll(LINE_BREAKS, " ").trim();
}
