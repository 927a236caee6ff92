/**
 * Chromium on Linux may take its language from the environment as it stands there, such as `en-US@posix`. uPlot passes
 * it on when it is loaded, and the browser then refuses its own language. Must be imported before uPlot.
 */
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US" });
}
