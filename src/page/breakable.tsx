import type { ComponentChildren } from "preact";

/** A text that may break after each of these characters, because a phone is narrower than some of vPIC's words. */
export function breakable(text: string, after: "/" | "_"): ComponentChildren {
  const parts = text.split(after);
  return parts.map((part, index) => [part, index < parts.length - 1 ? [after, <wbr key={index} />] : ""]);
}
