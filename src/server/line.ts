import type { CallQueue, QueuedLine } from "./call-queue.ts";
import { Roster, type Seated } from "./roster.ts";

/**
 * Calls of a line that begin together. Their answers are then often written together, which costs much less than
 * writing each one. More would save little, and callers that have a single call would wait longer.
 */
const BEGIN_TOGETHER = 4;

/** Work that waits for its turn. Its seat is -1 when it holds no slot. */
export interface Waiting extends Seated {
  /** Whether it has been answered or its client has gone. It is then skipped. */
  readonly isOver: boolean;
  begin(): void;
}

/** A call that holds a slot from its headers to its answer, unless it is refused. */
export interface LimitedCall extends Waiting {
  /** When its headers arrived, in ms on the monotonic clock. */
  readonly startedAt: number;
  /** Whether the part of the request that is needed to begin has arrived. */
  readonly hasArrived: boolean;
  /** Whether it has begun. From then on it keeps its slot. */
  readonly hasBegun: boolean;
  /** Called when the call gets no slot or loses it. Do not push it then. Its refusal follows. */
  loseSlot(): void;
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
  readonly #holders = new Roster<LimitedCall>();
  readonly #waiting: Waiting[] = [];
  readonly #refused: LimitedCall[] = [];
  #spareSlots = 0;
  #begun = 0;
  #isBeginning = false;
  #isRefusing = false;

  /** @param maxBegun maximum number of running calls. Default: no separate limit. */
  constructor(queue: CallQueue, maxBegun = Infinity) {
    this.#queue = queue;
    this.#maxBegun = maxBegun;
  }

  get slots(): number {
    return this.#holders.size;
  }

  get spareSlots(): number {
    return this.#spareSlots;
  }

  /**
   * Takes a slot for a call that has not begun. {@link leave} returns the slot. If the queue gives it none, the call is
   * refused, now or in its turn.
   */
  enterOrRefuse(call: LimitedCall): void {
    if (this.#queue.enter(this)) {
      this.#holders.add(call);
      this.#spareSlots++;
    } else {
      this.#refuse(call);
    }
  }

  /** Returns the slot of a call. Without effect if it has none. */
  leave(call: LimitedCall): void {
    if (call.seat >= 0) {
      this.#holders.remove(call);
      this.#spareSlots -= call.hasBegun ? 0 : 1;
      this.#queue.leave(this);
    }
  }

  makeWay(): void {
    const call = this.#holders.greatest(expendabilityOf);
    if (call === undefined) {
      return;
    }
    this.leave(call);
    const index = this.#waiting.indexOf(call);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
    }
    this.#refuse(call);
  }

  /** Starts a call when its turn comes. */
  push(call: Waiting): void {
    this.#waiting.push(call);
    this.#scheduleBeginning();
  }

  /** Call this once, when a call that has begun is answered or its client has gone. */
  done(): void {
    this.#begun--;
    this.#scheduleBeginning();
  }

  beginSome(): number {
    let begun = 0;
    while (begun < BEGIN_TOGETHER && this.#begun < this.#maxBegun) {
      const call = shiftOpen(this.#waiting);
      if (call === undefined) {
        break;
      }
      this.#begun++;
      begun++;
      this.#spareSlots -= call.seat >= 0 ? 1 : 0;
      call.begin();
    }
    this.#isBeginning = false;
    this.#scheduleBeginning();
    return begun;
  }

  refuseOne(): void {
    shiftOpen(this.#refused)?.refuse();
    this.#isRefusing = false;
    this.#scheduleRefusal();
  }

  #refuse(call: LimitedCall): void {
    call.loseSlot();
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

/** Removes and returns the first call that is not over. Drops those before it. */
function shiftOpen<Call extends Waiting>(calls: Call[]): Call | undefined {
  let call = calls.shift();
  while (call?.isOver === true) {
    call = calls.shift();
  }
  return call;
}

/** Calls that are still arriving give up their slots first, then the latest call. Calls that have begun keep theirs. */
function expendabilityOf({ hasBegun, hasArrived, startedAt }: LimitedCall): number {
  if (hasBegun) {
    return -Infinity;
  }
  return hasArrived ? startedAt : Infinity;
}
