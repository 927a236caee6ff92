import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PatternColumns, type PatternRows } from "../../src/snapshot/pattern-columns.ts";

const SCHEMAS = 6;

interface Pattern {
  readonly schema: number;
  readonly key: number;
}

const patterns = fc.array(fc.record({ schema: fc.nat(SCHEMAS - 1), key: fc.nat(3) }), { maxLength: 30 });
/** Where portions of schemas end. */
const cuts = fc.uniqueArray(fc.nat(SCHEMAS), { maxLength: 3 }).map((ends) => ends.toSorted((a, b) => a - b));

/** Each pattern with its place in the list as attribute, time and id. */
function toRows(list: readonly (Pattern & { readonly id: number })[]): PatternRows {
  return {
    count: list.length,
    schema: Uint32Array.from(list, ({ schema }) => schema),
    key: Uint32Array.from(list, ({ key }) => key),
    attribute: Uint32Array.from(list, ({ id }) => id),
    changedOn: Float64Array.from(list, ({ id }) => id),
    id: Uint32Array.from(list, ({ id }) => id),
  };
}

test("patterns are in groups by schema and key, in the order in which they came, however they are portioned", () => {
  fc.assert(
    fc.property(patterns, cuts, (list, ends) => {
      const numbered = list.map((pattern, id) => ({ ...pattern, id }));
      const columns = new PatternColumns(SCHEMAS, list.length);

      let start = 0;
      for (const end of [...ends, SCHEMAS]) {
        columns.take(toRows(numbered.filter(({ schema }) => schema >= start && schema < end)), end);
        start = end;
      }

      const { schemas, groups, patterns: taken } = columns.collected();
      const found = Array.from({ length: SCHEMAS }, (_, schema) =>
        [...groups.key].slice(schemas.groupStart[schema], schemas.groupStart[schema + 1]).map((key, i) => {
          const group = (schemas.groupStart[schema] ?? 0) + i;
          return [key, [...taken.id].slice(groups.patternStart[group], groups.patternStart[group + 1])];
        }),
      );
      const expected = Array.from({ length: SCHEMAS }, (_, schema) =>
        [0, 1, 2, 3].flatMap((key) => {
          const ids = numbered.filter((row) => row.schema === schema && row.key === key).map(({ id }) => id);
          return ids.length === 0 ? [] : [[key, ids]];
        }),
      );
      expect(found).toEqual(expected);
      expect([...taken.attribute]).toEqual([...taken.id]);
      expect([...taken.changedOn]).toEqual([...taken.id]);
    }),
  );
});
