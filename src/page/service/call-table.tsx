import type { VNode } from "preact";
import { breakable } from "../breakable.tsx";
import { numberInWords, rateInWords } from "../words.ts";
import { callsOf } from "./figures.ts";
import type { History } from "./use-figures.ts";

/** The calls of each method by how they ended. */
export function CallTable({ history }: { history: History }): VNode | null {
  const calls = callsOf(history.before, history.latest);
  return calls.length === 0 ? null : (
    // Scrolled by keyboard where it is too wide.
    <section class="calls" aria-label="Calls" tabIndex={0}>
      <h2>Calls</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Method</th>
            <th scope="col">Ended with</th>
            <th scope="col">Per second</th>
            <th scope="col">Since the start</th>
          </tr>
        </thead>
        <tbody>
          {calls.map(({ method, code, total, perSecond }) => (
            <tr key={`${method} ${code}`}>
              <th scope="row">{method}</th>
              <td>
                <span class={code === "OK" ? "badge good" : "badge plain"}>{breakable(code, "_")}</span>
              </td>
              <td>{perSecond === undefined ? "–" : rateInWords(perSecond)}</td>
              <td>{numberInWords(total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
