const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECOND_MS = 1_000;
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;
const NOW_S = 10;
const BYTE_UNITS = ["bytes", "KB", "MB", "GB", "TB"];

/** A date of data, `2026-02-17` or `2026-02`, in words: "17 Feb 2026" or "Feb 2026". Others stay as they are. */
export function dateInWords(date: string): string {
  const [, year, month = "", day] = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(date) ?? [];
  const name = MONTHS[Number(month) - 1];
  if (year === undefined || name === undefined) {
    return date;
  }
  return `${day === undefined ? "" : `${Number(day)} `}${name} ${year}`;
}

/** How long ago something was, such as "3 minutes ago". A time in the future counts as now. */
export function ageInWords(ms: number): string {
  const seconds = Math.floor(ms / SECOND_MS);
  return seconds < NOW_S ? "just now" : `${spanInWords(ms)} ago`;
}

/** A duration in its largest whole unit, such as "3 minutes". */
export function spanInWords(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND_MS));
  const [unit, unitS] = UNITS.find(([, unitS]) => seconds >= unitS) ?? ["second", 1];
  return counted(Math.floor(seconds / unitS), unit);
}

/** A duration to wait, rounded up, such as "1 second". */
export function waitInWords(ms: number): string {
  return spanInWords(Math.max(1, Math.ceil(ms / SECOND_MS)) * SECOND_MS);
}

/** A message as a sentence: with a capital and a full stop. */
export function toSentence(message: string): string {
  const text = message.trim();
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
}

/** A number with separators, such as "20,000". */
export function numberInWords(value: number): string {
  return value.toLocaleString("en-US");
}

/** A number per second, such as "0.4", "12" or "1,204". */
export function rateInWords(value: number): string {
  return value >= 100 ? numberInWords(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}

/** A number and its noun, such as "1 row" or "2,000 rows". */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${numberInWords(count)} ${count === 1 ? noun : plural}`;
}

/** A size, such as "1.4 MB". */
export function bytesInWords(bytes: number): string {
  const power = bytes < 1_000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), BYTE_UNITS.length - 1);
  const value = bytes / 1_000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[power]}`;
}

/** Seconds as a short duration, such as "3.2 ms" or "1.5 s". */
export function secondsInWords(seconds: number): string {
  const ms = seconds * SECOND_MS;
  if (ms >= SECOND_MS) {
    return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  }
  return `${ms.toFixed(ms < 10 && ms > 0 ? 1 : 0)} ms`;
}
