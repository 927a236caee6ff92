import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Seated } from "../../src/server/roster.ts";
import { Roster } from "../../src/server/roster.ts";

interface Member extends Seated {
  readonly name: number;
}

function members(count: number): Member[] {
  return Array.from({ length: count }, (_, name) => ({ name, seat: -1 }));
}

test("a roster has the members of a set after the same additions and removals", () => {
  const step = fc.record({ adds: fc.boolean(), member: fc.nat(5) });

  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const all = members(6);
      const [roster, set] = [new Roster<Member>(), new Set<Member>()];
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

      expect(new Set(roster)).toEqual(set);
      expect(roster.size).toBe(set.size);
    }),
    { seed: 1 },
  );
});

test("members that leave while others are visited are not visited any more", () => {
  const roster = new Roster<Member>();
  const [first, second, third] = members(3);
  const all = [first, second, third].filter((member) => member !== undefined);
  all.forEach((member) => roster.add(member));

  const visited: number[] = [];
  for (const { name } of roster) {
    visited.push(name);
    all.slice(0, 2).forEach((member) => roster.remove(member));
  }

  expect(visited).toEqual([0, 2]);
});
