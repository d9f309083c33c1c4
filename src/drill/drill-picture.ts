// The picture of a drill, as SVG: when leases were renewed and when something new was granted, and how long each call
// took. It has no fonts, scripts or links of its own, so that a browser, a wiki or a mail shows it.

import type { CallKind, CanaryRecord, Sample } from './canary-record.ts';
import { longestGap } from './canary-record.ts';
import { type DrillMarks, type DrillReport, inSeconds } from './drill-report.ts';

const WIDTH = 960;
const HEIGHT = 480;
const LEFT = 110;
const RIGHT = 20;
const STRIPS_TOP = 96;
const STRIP_HEIGHT = 18;
const PLOT_TOP = 180;
const PLOT_BOTTOM = 430;
/** The scale of the times that calls took is logarithmic. */
const LEAST_MS = 0.5;
const MOST_MS = 60_000;
const GRID_MS = [1, 10, 100, 1_000, 10_000] as const;
/** A pause up to this is how often the load asks. */
const EVERYDAY_PAUSE_MS = 1_500;

const COLOURS = {
  acquire: '#1f77b4',
  'hand-over': '#9467bd',
  renew: '#2ca02c',
  heartbeat: '#ff7f0e',
} as const satisfies Partial<Record<CallKind, string>>;
const FAILED = '#d62728';
const DRAWN = Object.entries(COLOURS) as readonly (readonly [CallKind, string])[];

type Scale = (value: number) => number;

export function drillPicture(report: DrillReport, record: CanaryRecord, marks: DrillMarks): string {
  const { readyMs, endMs, begunMs } = marks;
  const spanMs = Math.max(1, endMs - readyMs);
  const x: Scale = (atMs) => LEFT + ((atMs - readyMs) / spanMs) * (WIDTH - LEFT - RIGHT);
  const y: Scale = (tookMs) => {
    const clamped = Math.min(MOST_MS, Math.max(LEAST_MS, tookMs));
    const share = Math.log(clamped / LEAST_MS) / Math.log(MOST_MS / LEAST_MS);
    return PLOT_BOTTOM - share * (PLOT_BOTTOM - PLOT_TOP);
  };
  const title = `Failover of ${report.deployment}, ${report.startedAt.toISOString()}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    words(LEFT, 24, title, 'font-size="16"'),
    words(LEFT, 44, verdict(report), report.passed ? 'fill="#2ca02c"' : `fill="${FAILED}"`),
    ...spans(marks, x),
    ...strip('renewals', 0, record.renewals, marks, x),
    ...strip('new grants', 1, record.grants, marks, x),
    ...grid(y),
    ...DRAWN.map(([kind, colour]) => points(record.samples.filter(isGood(kind)), colour, marks, x, y)),
    failures(record.samples, marks, x),
    ...legend(),
    ...timeAxis(marks, begunMs, x),
    '</svg>\n',
  ].join('\n');
}

function verdict({ passed, complaints, withoutRenewalsMs, withoutGrantsMs }: DrillReport): string {
  const times = `${inSeconds(withoutRenewalsMs)} without renewals, ${inSeconds(withoutGrantsMs)} without new grants`;
  return passed ? `passed: ${times}` : `not passed: ${complaints[0] ?? times}`;
}

function spans({ readyMs, begunMs, switchedMs, grantsBackMs, endMs }: DrillMarks, x: Scale): string[] {
  const during = grantsBackMs ?? endMs;
  const band = `<rect x="${at(x(begunMs))}" y="70" width="${at(x(during) - x(begunMs))}" height="${PLOT_BOTTOM - 70}" fill="#fff3e0"/>`;
  const names = [
    ['before', readyMs],
    ['during', begunMs],
    ['after', grantsBackMs],
  ] as const;
  const titles = names.flatMap(([name, fromMs]) =>
    fromMs === undefined ? [] : [words(x(fromMs) + 3, 84, name, 'fill="#666666"')],
  );
  if (switchedMs === undefined) return [band, ...titles];
  const line = `<line x1="${at(x(switchedMs))}" y1="70" x2="${at(x(switchedMs))}" y2="${PLOT_BOTTOM}" stroke="#000000" stroke-dasharray="4 3"/>`;
  return [band, ...titles, line, words(x(switchedMs) + 3, PLOT_TOP - 8, '+switch-master')];
}

/** A bar that is interrupted where the pause was longer than usual, with the longest pause beside it. */
function strip(
  name: string,
  row: number,
  moments: readonly number[],
  { readyMs, begunMs, endMs }: DrillMarks,
  x: Scale,
): string[] {
  const top = STRIPS_TOP + row * (STRIP_HEIGHT + 8);
  const inside = moments.filter((atMs) => atMs >= readyMs && atMs <= endMs);
  const bars: string[] = [];
  let fromMs = inside[0];
  for (const [index, atMs] of inside.entries()) {
    const nextMs = inside[index + 1];
    if (nextMs !== undefined && nextMs - atMs <= EVERYDAY_PAUSE_MS) continue;
    if (fromMs !== undefined) bars.push(bar(x(fromMs), Math.max(x(atMs), x(fromMs) + 1), top, '#b7d7b0'));
    fromMs = nextMs;
  }
  const pausing = longestGap(moments, begunMs, endMs);
  const length = pausing.untilMs - pausing.fromMs;
  const left = Math.max(LEFT, x(pausing.fromMs));
  const marked =
    length > EVERYDAY_PAUSE_MS
      ? [
          bar(left, x(pausing.untilMs), top, '#f2b5b5'),
          words(left + 4, top + 13, `none for ${inSeconds(length)}`),
        ]
      : [];
  return [words(LEFT - 8, top + 13, name, 'text-anchor="end"'), ...bars, ...marked];
}

function bar(from: number, to: number, top: number, colour: string): string {
  return `<rect x="${at(from)}" y="${top}" width="${at(Math.max(0, to - from))}" height="${STRIP_HEIGHT}" fill="${colour}"/>`;
}

function grid(y: Scale): string[] {
  return GRID_MS.flatMap((ms) => {
    const level = at(y(ms));
    const text = ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
    return [
      `<line x1="${LEFT}" y1="${level}" x2="${WIDTH - RIGHT}" y2="${level}" stroke="#dddddd"/>`,
      words(LEFT - 8, Number(level) + 4, text, 'text-anchor="end"'),
    ];
  });
}

function isGood(kind: CallKind): (sample: Sample) => boolean {
  return (sample) => sample.kind === kind && sample.failure === undefined;
}

function points(samples: readonly Sample[], colour: string, marks: DrillMarks, x: Scale, y: Scale): string {
  const dots = samples
    .filter(({ sentAtMs }) => sentAtMs >= marks.readyMs && sentAtMs <= marks.endMs)
    .map(({ sentAtMs, tookMs }) => `M${at(x(sentAtMs))} ${at(y(tookMs))}h0`);
  return `<path d="${dots.join('')}" stroke="${colour}" stroke-width="3" stroke-linecap="round" fill="none" opacity="0.6"/>`;
}

function failures(samples: readonly Sample[], { readyMs, endMs }: DrillMarks, x: Scale): string {
  const ticks = samples
    .filter(({ failure, sentAtMs }) => failure !== undefined && sentAtMs >= readyMs && sentAtMs <= endMs)
    .map(({ sentAtMs }) => `M${at(x(sentAtMs))} ${PLOT_BOTTOM - 8}v8`);
  return `<path d="${ticks.join('')}" stroke="${FAILED}" stroke-width="1" fill="none"/>`;
}

function legend(): string[] {
  const all = [...DRAWN.map(([kind, colour]) => [kind, colour] as const), ['failed', FAILED] as const];
  return all.flatMap(([name, colour], index) => {
    const left = LEFT + index * 110;
    return [
      `<rect x="${left}" y="${HEIGHT - 16}" width="10" height="10" fill="${colour}"/>`,
      words(left + 14, HEIGHT - 7, name),
    ];
  });
}

function timeAxis({ readyMs, endMs }: DrillMarks, begunMs: number, x: Scale): string[] {
  const spanS = (endMs - readyMs) / 1_000;
  const stepS = [1, 2, 5, 10, 30, 60, 300, 900].find((step) => spanS / step <= 15) ?? 3_600;
  const firstS = Math.ceil((readyMs - begunMs) / 1_000 / stepS) * stepS;
  const ticks: string[] = [];
  for (let second = firstS; begunMs + second * 1_000 <= endMs; second += stepS) {
    ticks.push(words(x(begunMs + second * 1_000), PLOT_BOTTOM + 16, `${second} s`, 'text-anchor="middle"'));
  }
  return ticks;
}

function words(left: number, bottom: number, text: string, attributes = ''): string {
  return `<text x="${at(left)}" y="${at(bottom)}" ${attributes}>${escaped(text)}</text>`;
}

function at(value: number): string {
  return value.toFixed(1);
}

function escaped(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
