// Reads and checks the scenarios in clients/conformance/*.yaml. Owns their form, which that folder's README documents.
// What a verb does is up to the runners and the surroundings.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const NEEDS = ['one server', 'few streams', 'two servers', 'sentinel', 'tokens', 'tls'] as const;
export type Needs = (typeof NEEDS)[number];
export type Values = Readonly<Record<string, unknown>>;

export interface Step {
  readonly verb: string;
  readonly args: Values;
  readonly as?: string | undefined;
  readonly start?: string | undefined;
  readonly client?: string | undefined;
  readonly expect?: Values | undefined;
  readonly fails?: Values | undefined;
  readonly within?: number | undefined;
  readonly times?: number | undefined;
}

export interface Scenario {
  readonly name: string;
  readonly says: string;
  readonly needs: Needs;
  readonly beside: boolean;
  readonly steps: readonly Step[];
}

const VALUES = z.record(z.string(), z.unknown());
const MODIFIERS = {
  as: z.string().optional(),
  start: z.string().optional(),
  client: z.string().optional(),
  expect: VALUES.optional(),
  fails: VALUES.optional(),
  within: z.number().positive().optional(),
  times: z.number().int().positive().optional(),
};

const STEP = z.record(z.string(), z.unknown()).transform((step, context): Step => {
  const modifiers = z.object(MODIFIERS).safeParse(step);
  const verbs = Object.keys(step).filter((key) => !(key in MODIFIERS));
  const [verb = ''] = verbs;
  if (!modifiers.success || verbs.length !== 1) {
    context.addIssue({
      code: 'custom',
      message: `a step needs one verb, and known words beside it: ${JSON.stringify(step)}`,
    });
    return z.NEVER;
  }
  const given = step[verb];
  // `finish: name` and `redis: failover` are shorthands for a single argument.
  const args = VALUES.safeParse(given);
  return { verb, args: args.success ? args.data : { value: given }, ...modifiers.data };
});

const FILE = z.array(
  z.strictObject({
    name: z.string(),
    says: z.string(),
    needs: z.enum(NEEDS),
    beside: z.boolean().default(false),
    steps: z.array(STEP).min(1),
  }),
);

/** All scenarios, in the order in which the folder lists its files. */
export function readScenarios(folder: string): Scenario[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  const scenarios = files.flatMap((name) => FILE.parse(parse(readFileSync(join(folder, name), 'utf8'))));
  const names = scenarios.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two scenarios are called "${twice}"`);
  return scenarios;
}

/** How `actual` differs from `expected`; undefined if it doesn't. */
export function mismatch(expected: unknown, actual: unknown, path = ''): string | undefined {
  if (expected === null || typeof expected !== 'object' || Array.isArray(expected)) {
    const [left, right] = [JSON.stringify(expected), JSON.stringify(actual)];
    return left === right ? undefined : `${path} is ${right}, expected ${left}`;
  }
  for (const [key, value] of Object.entries(expected)) {
    const compare = COMPARISONS[key];
    const wrong = compare
      ? compare(actual, value)
        ? undefined
        : `${path} is ${JSON.stringify(actual)}, expected ${key} ${JSON.stringify(value)}`
      : mismatch(value, fieldOf(actual, key), path ? `${path}.${key}` : key);
    if (wrong) return wrong;
  }
  return undefined;
}

const COMPARISONS: Readonly<Record<string, (actual: unknown, value: unknown) => boolean>> = {
  gt: (actual, value) => Number(actual) > Number(value),
  gte: (actual, value) => Number(actual) >= Number(value),
  lt: (actual, value) => Number(actual) < Number(value),
  lte: (actual, value) => Number(actual) <= Number(value),
  matches: (actual, value) => new RegExp(String(value)).test(String(actual)),
};

/** Replaces `$name.field` anywhere in `value` by that field of the answer. */
export function resolved(value: unknown, answers: ReadonlyMap<string, unknown>): unknown {
  if (typeof value === 'string' && value.startsWith('$')) {
    const [name = '', ...fields] = value.slice(1).split('.');
    if (!answers.has(name)) throw new Error(`nothing was answered as ${name}`);
    return fields.reduce(fieldOf, answers.get(name));
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, answers));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, answers)]));
}

/** The steps that a step with `times` stands for; the step alone without it. */
export function copiesOf({ times, ...step }: Step): Step[] {
  if (times === undefined) return [step];
  return Array.from({ length: times }, (_, index) => numbered(step, index + 1));
}

function numbered<T>(value: T, number: number): T {
  // Strings stay strings, and objects keep their keys.
  return JSON.parse(JSON.stringify(value).replaceAll('#', String(number))) as T;
}

function fieldOf(value: unknown, key: string): unknown {
  return VALUES.safeParse(value).data?.[key];
}
