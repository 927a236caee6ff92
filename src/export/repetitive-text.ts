/**
 * Texts of which neighbours are often alike, as rows in VIN order are. One string for all alike takes one string's
 * memory, and is hashed once.
 */
export class RepetitiveText {
  readonly values: string[] = [];
  #last = "";
  #characters = 0;
  #distinctCharacters = 0;

  /** How many characters the texts have, neighbours that are alike counted once. */
  get distinctCharacters(): number {
    return this.#distinctCharacters;
  }

  /** Whether a dictionary of the texts has at most half their size. */
  get isRepetitive(): boolean {
    return this.#distinctCharacters * 2 <= this.#characters;
  }

  add(text: string): void {
    if (text !== this.#last) {
      this.#last = text;
      this.#distinctCharacters += text.length;
    }
    this.#characters += text.length;
    this.values.push(this.#last);
  }
}
