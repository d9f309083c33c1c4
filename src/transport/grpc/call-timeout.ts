// The header `grpc-timeout`: at most eight digits and a unit.

const FORM = /^(\d{1,8})([HMSmun])$/;
const MS_OF_UNIT: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Milliseconds; Infinity if the client sent none, undefined if what it sent is no timeout. */
export function timeoutMs(sent: string | string[] | undefined): number | undefined {
  if (sent === undefined) return Number.POSITIVE_INFINITY;
  const [, digits, unit = ''] = FORM.exec(String(sent)) ?? [];
  const perUnit = MS_OF_UNIT[unit];
  return perUnit === undefined ? undefined : Number(digits) * perUnit;
}
