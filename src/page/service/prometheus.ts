/** One line of Prometheus' text format. */
export interface Metric {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus' text format. Lines of another form are left out. */
export function parseMetrics(text: string): Metric[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", labels = "", text = ""] = LINE.exec(line) ?? [];
    const value = text === "+Inf" ? Infinity : Number(text);
    return name === "" || Number.isNaN(value) ? [] : [{ name, labels: parseLabels(labels), value }];
  });
}

function parseLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(LABEL)].map(([, name = "", value = ""]) => [name, value.replaceAll(/\\(.)/g, "$1")]);
  return Object.fromEntries(pairs);
}
