import type { ComponentChildren, VNode } from "preact";
import { createContext } from "preact";
import { useCallback, useContext, useState } from "preact/hooks";

const Announce = createContext<(words: string) => void>(() => {});

/** Gives a function that lets screen readers say something, without moving the focus. */
export function useAnnounce(): (words: string) => void {
  return useContext(Announce);
}

/** Holds the one live region of the page. */
export function Announcer({ children }: { children: ComponentChildren }): VNode {
  const [words, setWords] = useState("");
  // The same words twice must be a change, or they are not said again.
  const announce = useCallback((next: string) => setWords((last) => (last === next ? `${next}\u00a0` : next)), []);
  return (
    <Announce.Provider value={announce}>
      {children}
      <div class="visually-hidden" role="status" aria-live="polite">
        {words}
      </div>
    </Announce.Provider>
  );
}
