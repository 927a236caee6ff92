import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./browser-language.ts";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** One line of a plot. */
export interface Line {
  readonly name: string;
  /** A custom property of the style sheet, such as `--accent`. */
  readonly color: string;
  readonly values: readonly (number | null)[];
}

interface PlotProps {
  readonly title: string;
  /** In seconds since the epoch, one for each value. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  /** Writes a value with its unit. */
  readonly format: (value: number) => string;
}

const HEIGHT_PX = 140;
/** The time that is shown grows from one minute to ten. */
const SHOWN_S = { least: 60, most: 600 };
/** Distances between the marks of the time, in seconds. */
const TICKS_S = [5, 10, 20, 30, 60, 120, 180, 300];
const DARK = "(prefers-color-scheme: dark)";

/** A plot of the last ten minutes, with the latest values in words for those who do not see it. */
export function Plot({ title, times, lines, format }: PlotProps): VNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const isDark = useIsDark();
  const latest = lines.map(({ name, values }) => {
    const value = values.at(-1) ?? null;
    return { name, words: value === null ? "–" : format(value) };
  });

  useEffect(() => {
    const target = box.current;
    if (target === null) {
      return undefined;
    }
    const created = create(target, lines, format);
    plot.current = created;
    const observer = new ResizeObserver(() => created.setSize({ width: target.clientWidth, height: HEIGHT_PX }));
    observer.observe(target);
    return () => {
      observer.disconnect();
      created.destroy();
    };
  }, [isDark]);
  useEffect(() => {
    const now = times.at(-1) ?? 0;
    const ages = times.map((time) => time - now);
    plot.current?.batch(() => {
      plot.current?.setData([ages, ...lines.map(({ values }) => [...values])], false);
      const shownS = Math.min(Math.max(now - (times[0] ?? now), SHOWN_S.least), SHOWN_S.most);
      plot.current?.setScale("x", { min: -shownS, max: 0 });
      const most = Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
      plot.current?.setScale("y", { min: 0, max: most === 0 ? 1 : most * 1.1 });
    });
  }, [times, isDark]);

  return (
    <figure class="plot">
      <figcaption>
        <h3>{title}</h3>
        <dl class="latest">
          {latest.map(({ name, words }, index) => (
            <div key={name}>
              <dt>
                <span class="key" style={{ background: `var(${lines[index]?.color})` }} aria-hidden="true" />
                {name}
              </dt>
              <dd>{words}</dd>
            </div>
          ))}
        </dl>
      </figcaption>
      <div ref={box} class="canvas" aria-hidden="true" />
    </figure>
  );
}

function create(target: HTMLElement, lines: readonly Line[], format: (value: number) => string): uPlot {
  const grid = { stroke: colorOf(target, "--line"), width: 1 };
  const axis = { stroke: colorOf(target, "--quiet"), grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return new uPlot(
    {
      width: target.clientWidth,
      height: HEIGHT_PX,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        { ...axis, size: 24, space: 72, incrs: TICKS_S, values: (_, ticks) => ticks.map(ageOf) },
        { ...axis, size: 56, space: 36, values: (_, ticks) => ticks.map(format) },
      ],
      series: [
        {},
        ...lines.map(({ name, color }) => ({
          label: name,
          stroke: colorOf(target, color),
          width: 1.5,
          spanGaps: false,
          points: { show: false },
        })),
      ],
    },
    [[], ...lines.map(() => [])],
    target,
  );
}

function ageOf(seconds: number): string {
  if (seconds === 0) {
    return "now";
  }
  return seconds % 60 === 0 ? `−${seconds / -60} min` : `−${-seconds} s`;
}

/** A canvas cannot read the style sheet, so the browser is asked what a color is in this theme. */
function colorOf(target: HTMLElement, property: string): string {
  target.style.color = `var(${property})`;
  const { color } = getComputedStyle(target);
  target.style.color = "";
  return color;
}

function useIsDark(): boolean {
  const [isDark, setDark] = useState(() => matchMedia(DARK).matches);
  useEffect(() => {
    const query = matchMedia(DARK);
    const follow = (): void => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return isDark;
}
