/** A member of a {@link Roster}, which writes its seat. A member is in at most one roster at a time. */
export interface Seated {
  /** Its index in the roster, or -1 when it is in none. Begins as -1. */
  seat: number;
}

/**
 * A set whose members come and go with every call. Its order changes when a member leaves.
 *
 * A Map or a Set would cost more: each table that V8 replaces in it refers to the next one. Once the garbage collector
 * has moved one of them to the old generation, all members that later tables held stay in memory until a full
 * collection.
 */
export class Roster<Member extends Seated> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: Member): void {
    if (member.seat < 0) {
      member.seat = this.#members.length;
      this.#members.push(member);
    }
  }

  /** Without effect when it has left already. */
  remove(member: Member): void {
    const { seat } = member;
    const last = seat < 0 ? undefined : this.#members.pop();
    if (last !== undefined && last !== member) {
      last.seat = seat;
      this.#members[seat] = last;
    }
    member.seat = -1;
  }

  /** The member with the greatest value, or one of several. Undefined when there are no members. */
  greatest(valueOf: (member: Member) => number): Member | undefined {
    let greatest: Member | undefined;
    let greatestValue = -Infinity;
    for (const member of this.#members) {
      const value = valueOf(member);
      if (value > greatestValue) {
        greatest = member;
        greatestValue = value;
      }
    }
    return greatest;
  }

  /** A copy: members that leave later stay in it, with a seat of -1. */
  toArray(): Member[] {
    return this.#members.slice();
  }
}
