/**
 * Whether a stored suggestion is a guess of version 0.1.0, which stored its own guesses as NHTSA's suggestions. NHTSA
 * itself suggests a VIN only with codes 2 to 5, or with a mark for unknown characters.
 */
export function isOldGuess(codes: readonly number[], suggestedVin: string): boolean {
  return codes.includes(1) && !suggestedVin.includes("!") && !codes.some((code) => code >= 2 && code <= 5);
}
