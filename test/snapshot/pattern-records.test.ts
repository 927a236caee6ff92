import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PatternGrouper, PatternRecords, PatternRows, RECORD_BYTES } from "../../src/snapshot/pattern-records.ts";

const SCHEMAS = 6;

interface Pattern {
  readonly id: number;
  readonly schema: number;
  readonly key: number;
}

const patterns = fc
  .array(fc.record({ schema: fc.nat(SCHEMAS - 1), key: fc.nat(3) }), { maxLength: 30 })
  .map((list): Pattern[] => list.map((pattern, id) => ({ ...pattern, id })));
/** The ends of portions of schemas. */
const cuts = fc.uniqueArray(fc.nat(SCHEMAS), { maxLength: 3 }).map((ends) => ends.toSorted((a, b) => a - b));

function fill(rows: PatternRows, list: readonly Pattern[]): PatternRows {
  for (const [row, { id, schema, key }] of list.entries()) {
    rows.schema[row] = schema;
    rows.key[row] = key;
    rows.attribute[row] = id + 1;
    rows.changedOn[row] = id + 0.5;
    rows.id[row] = id;
  }
  rows.count = list.length;
  return rows;
}

test("patterns are grouped by schema and key, in their original order, for any size of portions", () => {
  fc.assert(
    fc.property(patterns, cuts, (list, ends) => {
      const parts: Buffer[] = [];
      const grouper = new PatternGrouper(SCHEMAS, list.length, list.length, (part) => parts.push(Buffer.from(part)));
      const rows = new PatternRows(list.length);

      let start = 0;
      for (const end of [...ends, SCHEMAS]) {
        const portion = list.filter(({ schema }) => schema >= start && schema < end);
        grouper.take(fill(rows, portion), end);
        start = end;
      }

      const { schemas, groups } = grouper.collected();
      const bytes = Uint8Array.from(Buffer.concat(parts));
      const records = new PatternRecords(bytes.buffer, 0, bytes.length / RECORD_BYTES);
      const found = Array.from({ length: SCHEMAS }, (_, schema) =>
        indexes(schemas.groupStart, schema).map((group) => ({
          key: groups.key[group],
          patterns: indexes(groups.patternStart, group).map((i) => [
            records.attribute(i),
            records.changedOn(i),
            records.id(i),
          ]),
        })),
      );
      expect(records.length).toBe(list.length);
      expect(found).toEqual(Array.from({ length: SCHEMAS }, (_, schema) => groupsOf(list, schema)));
    }),
  );
});

function groupsOf(list: readonly Pattern[], schema: number): { key: number; patterns: number[][] }[] {
  return [0, 1, 2, 3].flatMap((key) => {
    const ids = list.filter((pattern) => pattern.schema === schema && pattern.key === key).map(({ id }) => id);
    return ids.length === 0 ? [] : [{ key, patterns: ids.map((id) => [id + 1, id + 0.5, id]) }];
  });
}

function indexes(starts: Uint32Array, owner: number): number[] {
  const [start = 0, end = 0] = starts.subarray(owner, owner + 2);
  return Array.from({ length: end - start }, (_, i) => start + i);
}
