// Texts for people: spans of time, moments, and tables that fit the terminal. Whatever others put into a name or an
// owner, it can't move the cursor or change colours.

const ELLIPSIS = '…';
const NARROWEST = 6;
const GAP = '  ';
/** Without a terminal. A name can have 512 bytes, and every row would be padded for it. */
const WIDEST_PADDED = 60;

/** Replaces the characters that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function span(ms: number): string {
  if (ms < 999.5) return `${(Math.max(0, ms) / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

export function within(ms: number): string {
  return `in ${span(ms)}`;
}

/** The moment is from a server's clock and `nowMs` from the clock here, so the result is for people only. */
export function ago(date: Date | undefined, nowMs: number): string {
  if (date === undefined) return '-';
  const ms = nowMs - date.getTime();
  return ms >= 0 ? `${span(ms)} ago` : within(-ms);
}

/** "14:03:59", in UTC. */
export function timeOfDay(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(11, 19);
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

/**
 * Aligns the columns. `width` is the terminal's; if it is undefined, nothing is cut off, and a very long cell shifts the
 * rest of its own row only.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const cells = [headings, ...rows].map((row) => row.map((cell) => [...printable(cell === '' ? '-' : cell)]));
  const widest = width === undefined ? WIDEST_PADDED : Number.POSITIVE_INFINITY;
  const widths = headings.map((_, column) =>
    cells.reduce((most, row) => Math.max(most, Math.min(row[column]?.length ?? 0, widest)), 0),
  );
  // The widest column gives way first: only names and owners can be long.
  const spare = (): number =>
    (width ?? Number.POSITIVE_INFINITY) -
    widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1));
  while (spare() < 0) {
    const column = widths.indexOf(Math.max(...widths));
    const now = widths[column] ?? 0;
    if (now <= NARROWEST) break;
    widths[column] = now - 1;
  }
  const line = (row: readonly string[][]): string =>
    row
      .map((cell, column) => {
        const room = widths[column] ?? 0;
        const text =
          cell.length > room && width !== undefined
            ? `${cell.slice(0, room - 1).join('')}${ELLIPSIS}`
            : cell.join('');
        return column === row.length - 1 ? text : text + ' '.repeat(Math.max(0, room - cell.length));
      })
      .join(GAP)
      .trimEnd();
  return cells.map((row) => `${line(row)}\n`).join('');
}

/** One name and value per line; entries without a value are left out. */
export function fields(entries: readonly (readonly [name: string, value: string | undefined])[]): string {
  const given = entries.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...given.map(([name]) => name.length));
  return given.map(([name, value]) => `${name.padEnd(width)}  ${printable(value ?? '')}\n`).join('');
}
