/** The tabs of the page, by their names in the fragment. */
export const TABS = ["look-up", "many", "service"] as const;

export type Tab = (typeof TABS)[number];

/** What the part of the address after `#` says. Browsers never send it. */
export interface Place {
  readonly tab: Tab;
  /** The VIN to look up, as written; empty when there is none. */
  readonly vin: string;
  /** The model year, as written; empty when there is none. */
  readonly year: string;
}

const YEAR = /^(?:19|20)\d\d$/;
const LONGEST_VIN = 40;

/** Reads a fragment such as `#1XPWD40X1ED215307`, `#1XPWD40X1ED215307/2014` or `#many`. Anything else is no VIN. */
export function parseFragment(fragment: string): Place {
  const [first = "", second = ""] = fragment.replace(/^#/, "").split("/").map(decode);
  const tab = TABS.find((name) => name === first);
  if (tab !== undefined) {
    return { tab, vin: "", year: "" };
  }
  return { tab: "look-up", vin: first.slice(0, LONGEST_VIN), year: YEAR.test(second) ? second : "" };
}

/** Writes a fragment that {@link parseFragment} reads. */
export function toFragment({ tab, vin, year }: Place): string {
  if (tab !== "look-up") {
    return `#${tab}`;
  }
  return vin === "" ? "#look-up" : `#${encodeURIComponent(vin)}${year === "" ? "" : `/${year}`}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
