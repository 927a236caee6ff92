/** What a token may allow: looking vehicles up, removing entries of the cache, exporting it. */
export const SCOPES = ["lookup", "remove", "export"] as const;

export type Scope = (typeof SCOPES)[number];

/** Whether a word is a scope. */
export function isScope(word: string): word is Scope {
  return SCOPES.some((scope) => scope === word);
}
