import type { CallQueue, QueuedLine } from "./call-queue.ts";
import { Roster, type Seated } from "./roster.ts";

/** Work that waits for its turn. */
export interface Waiting {
  /** Whether nobody waits for it any more. It is skipped then. */
  readonly isOver: boolean;
  begin(): void;
}

/** A call that holds a slot from its arrival to its answer, unless it is refused. */
export interface LimitedCall extends Waiting, Seated {
  /** When its headers arrived, in ms on the monotonic clock. */
  readonly startedAt: number;
  /** Whether the request has arrived, as far as it is needed before the call begins. */
  readonly hasArrived: boolean;
  /** Whether it has had its turn. From then on it keeps its slot. */
  readonly hasBegun: boolean;
  /** Set by the line when the call has no slot. Do not push it then. */
  isRefused: boolean;
  /** Answers that the service is overloaded. */
  refuse(): void;
}

/** The calls of one connection, in the order of their arrival. */
export class Line implements QueuedLine {
  /** Written by the queue. */
  seat = -1;
  readonly #queue: CallQueue;
  readonly #maxBegun: number;
  /** Calls that have a slot. Their requests may still be arriving. */
  readonly #limited = new Roster<LimitedCall>();
  readonly #waiting: Waiting[] = [];
  readonly #refused: LimitedCall[] = [];
  #begun = 0;
  #isBeginning = false;
  #isRefusing = false;

  /** @param maxBegun maximum number of running calls. Default: no separate limit. */
  constructor(queue: CallQueue, maxBegun = Infinity) {
    this.#queue = queue;
    this.#maxBegun = maxBegun;
  }

  get slots(): number {
    return this.#limited.size;
  }

  /**
   * Takes a slot for a call that has not begun. {@link leave} returns the slot. Without a free slot, the call is refused,
   * now or in its turn.
   */
  enterOrRefuse(call: LimitedCall): void {
    if (this.#queue.enter(this)) {
      this.#limited.add(call);
    } else {
      this.#refuse(call);
    }
  }

  /** Without effect for a call that has no slot. */
  leave(call: LimitedCall): void {
    if (call.seat >= 0) {
      this.#limited.remove(call);
      this.#queue.leave(this);
    }
  }

  makeWay(): boolean {
    const call = this.#limited.greatest(isMoreExpendable);
    if (call === undefined || call.hasBegun) {
      return false;
    }
    this.leave(call);
    const index = this.#waiting.indexOf(call);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
    }
    this.#refuse(call);
    return true;
  }

  /** Starts a call when its turn comes. After {@link Waiting.begin}, call {@link done} once. */
  push(call: Waiting): void {
    this.#waiting.push(call);
    this.#scheduleBeginning();
  }

  /** A call that has begun has been answered, or its client has gone. */
  done(): void {
    this.#begun--;
    this.#scheduleBeginning();
  }

  beginNext(): void {
    this.#isBeginning = false;
    const call = shiftOpen(this.#waiting);
    if (call !== undefined) {
      this.#begun++;
      call.begin();
    }
    this.#scheduleBeginning();
  }

  refuseNext(): void {
    this.#isRefusing = false;
    shiftOpen(this.#refused)?.refuse();
    this.#scheduleRefusal();
  }

  #refuse(call: LimitedCall): void {
    call.isRefused = true;
    this.#refused.push(call);
    this.#scheduleRefusal();
  }

  #scheduleBeginning(): void {
    if (!this.#isBeginning && this.#waiting.length > 0 && this.#begun < this.#maxBegun) {
      this.#isBeginning = true;
      this.#queue.scheduleBeginning(this);
    }
  }

  #scheduleRefusal(): void {
    if (!this.#isRefusing && this.#refused.length > 0) {
      this.#isRefusing = true;
      this.#queue.scheduleRefusal(this);
    }
  }
}

/** Removes the first call that is not over, and all before it. */
function shiftOpen<Call extends Waiting>(calls: Call[]): Call | undefined {
  let call = calls.shift();
  while (call?.isOver === true) {
    call = calls.shift();
  }
  return call;
}

/** Calls that are still arriving give their slots first, then the latest. Those that have begun keep them. */
function isMoreExpendable(one: LimitedCall, other: LimitedCall): boolean {
  if (one.hasBegun !== other.hasBegun) {
    return other.hasBegun;
  }
  if (one.hasArrived !== other.hasArrived) {
    return other.hasArrived;
  }
  return one.startedAt > other.startedAt;
}
