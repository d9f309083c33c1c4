// How most checks of Redis nodes go: the same question to each node that could be asked.

import { formatHostPort } from '../../domain/host-port.ts';
import type { Judgement } from '../examination.ts';
import { type Examined, type Fields, type Look, type RedisNodeFacts, seenOf } from '../facts.ts';

/** Judges each node of which this fact is known; the others are left out. */
export function ofEach<T>(
  { facts }: Examined,
  fact: (node: RedisNodeFacts) => Look<T>,
  judge: (subject: string, seen: T, node: RedisNodeFacts) => Judgement | undefined,
): readonly Judgement[] {
  return facts.nodes.flatMap((node) => {
    const seen = seenOf(fact(node));
    const judgement = seen === undefined ? undefined : judge(formatHostPort(node.address), seen, node);
    return judgement ? [judgement] : [];
  });
}

/** The same for one setting of CONFIG GET. */
export function ofEachSetting(
  examined: Examined,
  name: string,
  judge: (subject: string, value: string, node: RedisNodeFacts) => Judgement | undefined,
): readonly Judgement[] {
  return ofEach(
    examined,
    ({ settings }) => settings,
    (subject, settings, node) => {
      const value = settings.get(name);
      return value === undefined ? undefined : judge(subject, value, node);
    },
  );
}

export function numberIn(fields: Fields, name: string): number | undefined {
  const text = fields.get(name);
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? undefined : value;
}

/** In Redis's own sense: "256 MB" is what its configuration calls 256mb. */
export function bytesText(bytes: number): string {
  const units: readonly (readonly [number, string])[] = [
    [2 ** 30, 'GB'],
    [2 ** 20, 'MB'],
    [2 ** 10, 'KB'],
  ];
  const [size, unit] = units.find(([least]) => bytes >= least) ?? [1, 'bytes'];
  const amount = bytes / size;
  return `${size === 1 || amount >= 100 ? Math.round(amount) : Number(amount.toFixed(1))} ${unit}`;
}

/** "0.4 ms", "12 ms", "1.5 s", "3 min". */
export function spanText(ms: number): string {
  const size = Math.abs(ms);
  if (size < 10) return `${Number(ms.toFixed(1))} ms`;
  if (size < 1_000) return `${Math.round(ms)} ms`;
  if (size < 120_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  if (size < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return size < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.floor(ms / 86_400_000)} d`;
}
