import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Seated } from "../../src/server/roster.ts";
import { Roster } from "../../src/server/roster.ts";

test("a roster has the members of a set after the same additions and removals", () => {
  const step = fc.record({ adds: fc.boolean(), member: fc.nat(5) });

  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const all: Seated[] = Array.from({ length: 6 }, () => ({ seat: -1 }));
      const [roster, set] = [new Roster(), new Set<Seated>()];
      for (const { adds, member } of steps) {
        for (const one of all.slice(member, member + 1)) {
          if (adds) {
            roster.add(one);
            set.add(one);
          } else {
            roster.remove(one);
            set.delete(one);
          }
        }
      }

      expect(new Set(roster.toArray())).toEqual(set);
      expect(roster.size).toBe(set.size);
    }),
    { seed: 1 },
  );
});
