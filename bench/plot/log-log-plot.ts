// One curve as an SVG: the measured points, those of the floor, and a dashed line that grows as expected from the first
// point. Its axes are logarithmic, so that an order of growth is a slope. It is made of strings without a library,
// because a plot here is some lines, marks and words. It has a background of its own, so that it looks the same on
// light and dark pages.
import type { Curve, CurvePoint } from './curves.ts';
import { type Expectation, GROWTH } from './expected-orders.ts';
import { axisOf, type LogAxis, logAxis } from './log-axis.ts';

const WIDTH = 760;
const HEIGHT = 450;
const PLOT = { left: 82, right: WIDTH - 34, top: 122, bottom: HEIGHT - 86 };
const LEGEND_Y = 84;
const DASHES = '7 6';
const COLOURS = {
  background: '#ffffff',
  frame: '#d0d7de',
  grid: '#eaeef2',
  text: '#1f2328',
  quiet: '#59636e',
  ours: '#0969da',
  floor: '#9a6700',
  expected: '#cf222e',
};
const STYLE = `text{font-family:-apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif;fill:${COLOURS.text}}
.title{font-size:18px;font-weight:600}.quiet{font-size:12.5px;fill:${COLOURS.quiet}}.tick{font-size:12px}
.value{font-size:12px;font-weight:600;paint-order:stroke;stroke:${COLOURS.background};stroke-width:4px}`;

type Place = (point: { readonly n: number; readonly value: number }) => {
  readonly x: number;
  readonly y: number;
};

/** `note` says where the figures come from. */
export function logLogPlot(curve: Curve, expectation: Expectation, note: string): string {
  const { unit } = curve;
  const points = expectation.floor ? curve.points : curve.points.map(({ n, value }) => ({ n, value }));
  const [first] = points;
  if (!first) throw new Error(`${curve.key} has no points`);
  const grows = GROWTH[expectation.order];
  const expected = points.map(({ n }) => ({ n, value: (first.value * grows(n)) / grows(first.n) }));
  const floor = points.flatMap(({ n, floor: value }: CurvePoint) =>
    value === undefined ? [] : [{ n, value }],
  );
  const x = axisOf(points.map(({ n }) => n));
  const y = logAxis([...points, ...expected, ...floor].map(({ value }) => value));
  const place: Place = ({ n, value }) => ({
    x: PLOT.left + x.at(n) * (PLOT.right - PLOT.left),
    y: PLOT.bottom - y.at(value) * (PLOT.bottom - PLOT.top),
  });
  const parts = [
    `<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8" fill="${COLOURS.background}" stroke="${COLOURS.frame}"/>`,
    text(28, 36, expectation.title, 'title'),
    text(28, 58, `Expected ${expectation.order}: ${expectation.because}.`, 'quiet'),
    ...legend(expectation),
    ...grid(x, y),
    text(PLOT.left - 10, PLOT.top - 14, unit === '' ? 'number' : written(unit), 'quiet', 'end'),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 44, `n: ${expectation.n}`, 'quiet', 'middle'),
    text(WIDTH - 28, HEIGHT - 16, note, 'quiet', 'end'),
    line(expected.map(place), COLOURS.expected, DASHES),
    line(floor.map(place), COLOURS.floor),
    ...floor.map((point) => square(place(point))),
    line(points.map(place), COLOURS.ours),
    ...points.map((point) => circle(place(point))),
    ...points.flatMap((point) => values(point, place)),
  ];
  const described = `<title>${escaped(expectation.title)}</title>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">
${described}
<style>${STYLE}</style>
${parts.join('\n')}
</svg>
`;
}

function legend({ order, floor }: Expectation): readonly string[] {
  const entry = (x: number, name: string, colour: string, mark: string, dashes?: string) => {
    const ends = [
      { x, y: LEGEND_Y },
      { x: x + 34, y: LEGEND_Y },
    ];
    return [line(ends, colour, dashes), mark, text(x + 42, LEGEND_Y + 4, name, 'tick')];
  };
  const [ours, expected, beside] = [28, 160, 360];
  return [
    ...entry(ours, 'Leasehold', COLOURS.ours, circle({ x: ours + 17, y: LEGEND_Y })),
    ...entry(expected, `${order} from the first point`, COLOURS.expected, '', DASHES),
    ...(floor === undefined
      ? []
      : entry(beside, floor, COLOURS.floor, square({ x: beside + 17, y: LEGEND_Y }))),
  ];
}

function grid(x: LogAxis, y: LogAxis): readonly string[] {
  const { left, right, top, bottom } = PLOT;
  return [
    ...y.ticks.flatMap((tick) => {
      const at = bottom - y.at(tick) * (bottom - top);
      return [
        line(
          [
            { x: left, y: at },
            { x: right, y: at },
          ],
          COLOURS.grid,
        ),
        text(left - 10, at + 4, numeral(tick), 'tick', 'end'),
      ];
    }),
    ...x.ticks.flatMap((tick) => {
      const at = left + x.at(tick) * (right - left);
      return [
        line(
          [
            { x: at, y: top },
            { x: at, y: bottom },
          ],
          COLOURS.grid,
        ),
        text(at, bottom + 20, numeral(tick), 'tick', 'middle'),
      ];
    }),
    line(
      [
        { x: left, y: top },
        { x: left, y: bottom },
        { x: right, y: bottom },
      ],
      COLOURS.frame,
    ),
  ];
}

/** The larger value is written above its point, the smaller one below. */
function values({ n, value, floor }: CurvePoint, place: Place): readonly string[] {
  const ours = place({ n, value });
  const isAbove = floor === undefined || value >= floor;
  const [above, below] = [-13, 23];
  const written = text(
    ours.x,
    ours.y + (isAbove ? above : below),
    numeral(value),
    'value',
    'middle',
    COLOURS.ours,
  );
  if (floor === undefined) return [written];
  const other = place({ n, value: floor });
  const dy = isAbove ? below : above;
  return [written, text(other.x, other.y + dy, numeral(floor), 'value', 'middle', COLOURS.floor)];
}

function line(
  ends: readonly { readonly x: number; readonly y: number }[],
  colour: string,
  dashes?: string,
): string {
  const width = colour === COLOURS.grid || colour === COLOURS.frame ? 1 : 2;
  const dashed = dashes === undefined ? '' : ` stroke-dasharray="${dashes}"`;
  const joined = ends.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  return `<polyline points="${joined}" fill="none" stroke="${colour}" stroke-width="${width}"${dashed}/>`;
}

function circle({ x, y }: { readonly x: number; readonly y: number }): string {
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="5" fill="${COLOURS.ours}"/>`;
}

function square({ x, y }: { readonly x: number; readonly y: number }): string {
  const corner = `x="${(x - 4.5).toFixed(1)}" y="${(y - 4.5).toFixed(1)}"`;
  return `<rect ${corner} width="9" height="9" fill="${COLOURS.background}" stroke="${COLOURS.floor}" stroke-width="2"/>`;
}

function text(
  x: number,
  y: number,
  words: string,
  kind: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
  colour?: string,
): string {
  const fill = colour === undefined ? '' : ` style="fill:${colour}"`;
  const where = `x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"`;
  return `<text ${where} class="${kind}"${fill}>${escaped(words)}</text>`;
}

function written(unit: string): string {
  return unit === 'us' ? 'µs' : unit;
}

function numeral(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return Number(value.toFixed(digits)).toLocaleString('en-US', { maximumFractionDigits: digits });
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
