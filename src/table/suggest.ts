/** The end of a message about an unknown word: the known word that was probably meant, if one is similar. */
export function suggest(word: string, known: readonly string[], prefix = ""): string {
  const near = known
    .map((candidate) => ({ candidate, distance: distanceOf(word.toLowerCase(), candidate.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)
    .find(({ candidate, distance }) => distance <= Math.max(1, candidate.length / 3));
  return near === undefined ? "" : `; did you mean ${prefix}${near.candidate}?`;
}

/** How many characters must be changed, added, deleted or swapped with the next one to get from one word to the other. */
function distanceOf(from: string, to: string): number {
  let rowBefore: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 1; index <= from.length; index++) {
    const next = [index];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[index - 1] === to[column - 1];
      const isSwapped = from[index - 1] === to[column - 2] && from[index - 2] === to[column - 1];
      next.push(
        Math.min(
          at(row, column - 1) + (isSame ? 0 : 1),
          at(row, column) + 1,
          at(next, column - 1) + 1,
          isSwapped ? at(rowBefore, column - 2) + 1 : Infinity,
        ),
      );
    }
    [rowBefore, row] = [row, next];
  }
  return at(row, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
