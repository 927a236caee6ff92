// Loads a listener from a process of its own, as cheaply as can be. Takes one LoadOrder after the other as messages, and
// answers each with LoadResults.

import type { LoadOrder, LoadResults } from "./load.ts";
import type { Caller } from "./load-calls.ts";
import { Http1Caller, Http2Caller } from "./load-calls.ts";

const HTTP2_CONNECTIONS = 20;
const HTTP1_CONNECTIONS = 400;
const TICK_MS = 1;
/** Until the first calls are answered: before that, nothing counts. */
const RAMP_MS = 50;

let callers: Caller[] = [];
let results = nothing();
let onAnswer: () => void = () => {};
let serial = 0;
let next = 0;

process.on("message", (order: LoadOrder) => {
  void obey(order).then((told) => process.send?.(told));
});
process.send?.("ready");

async function obey(order: LoadOrder): Promise<LoadResults> {
  await connect(order);
  setTimeout(() => (results = nothing()), RAMP_MS);
  using _polling = pollBusily();
  await (order.kind === "closed" ? callAgain(order) : callOnTime(order));
  const told = results;
  results = nothing();
  return told;
}

async function connect({ address, listener, ca }: LoadOrder): Promise<void> {
  const onEnd = (ms: number, isGood: boolean): void => {
    (isGood ? results.goodMs : results.refusedMs).push(ms);
    onAnswer();
  };
  // The server closes those that were not used for some time.
  callers = callers.filter(({ isOpen }) => isOpen);
  const wanted = listener === "HTTP" ? HTTP1_CONNECTIONS : HTTP2_CONNECTIONS;
  while (callers.length < wanted) {
    callers.push(
      await (listener === "HTTP" ? Http1Caller.open(address, onEnd) : Http2Caller.open(listener, address, ca, onEnd)),
    );
  }
}

/** So many calls at once, each followed by another. */
async function callAgain({ atOnce, seconds, isCached }: LoadOrder & { readonly kind: "closed" }): Promise<void> {
  onAnswer = () => call(isCached);
  for (let index = 0; index < atOnce; index++) {
    call(isCached);
  }
  await pause(RAMP_MS + seconds * 1000);
  onAnswer = () => {};
}

/** So many calls a second, whatever becomes of them. */
async function callOnTime({ perSecond, seconds, isCached }: LoadOrder & { readonly kind: "open" }): Promise<void> {
  const startedAt = performance.now();
  let sent = 0;
  for (let now = startedAt; now < startedAt + RAMP_MS + seconds * 1000; now = performance.now()) {
    for (const due = ((now - startedAt) / 1000) * perSecond; sent < due; sent++) {
      call(isCached);
    }
    await pause(TICK_MS);
  }
}

/** By the next connection that is free. */
function call(isCached: boolean): void {
  for (let tried = 0; tried < callers.length; tried++) {
    const caller = callers[next++ % callers.length];
    if (caller?.isReady === true) {
      caller.call(isCached ? undefined : serial++);
      return;
    }
  }
  results.unsent++;
}

function nothing(): LoadResults {
  return { goodMs: [], refusedMs: [], unsent: 0 };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/**
 * Looks for answers without a break. Whoever sleeps is woken by each answer, and over loopback it is the service that
 * pays for that: half as much as for a refusal itself, on a virtual machine.
 */
function pollBusily(): Disposable {
  let goesOn = true;
  const poll = (): void => {
    if (goesOn) {
      setImmediate(poll);
    }
  };
  poll();
  return { [Symbol.dispose]: () => (goesOn = false) };
}
