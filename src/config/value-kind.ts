// How a row of the table in settings.ts is written: the kinds of value that a setting can have, and what a zod schema
// cannot tell about them (the words of the documentation, how an environment variable is read). A message shows a
// refused value only for kinds in which nobody puts a secret by mistake: an address may come as a URL with a password
// in it, and a password may stand where the path of its file belongs.
import { z } from 'zod';
import { type HostPort, hostPortIdentity, isHost, parseHostPort } from '../domain/host-port.ts';
import { parseDurationMs } from './duration.ts';

export interface ValueKind<S extends z.ZodType> {
  readonly schema: S;
  /** What is accepted, in words that fit after "expected" and into the documentation's table. */
  readonly expected: string;
  /** Turns the text of a variable into the value that the file would hold; the schema refuses what doesn't fit. */
  fromText(text: string): unknown;
}

const asIs = (text: string): unknown => text;
const UNPRINTABLE = /\p{Cc}/u;

export function integer(min: number, max: number, expected = `a whole number from ${min} to ${max}`) {
  const error = refuse(expected);
  return {
    schema: z.int({ error }).min(min, { error }).max(max, { error }),
    expected,
    fromText: (text: string) => (/^-?[0-9]{1,15}$/.test(text) ? Number(text) : text),
  } satisfies ValueKind<z.ZodType>;
}

export function flag() {
  const expected = 'true or false';
  return {
    schema: z.boolean({ error: refuse(expected) }),
    expected,
    fromText: (text: string) => (text === 'true' ? true : text === 'false' ? false : text),
  } satisfies ValueKind<z.ZodType>;
}

export function choice<const C extends readonly [string, ...string[]]>(choices: C) {
  const expected = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
  return {
    schema: z.enum(choices, { error: refuse(expected) }),
    expected,
    fromText: asIs,
  } satisfies ValueKind<z.ZodType>;
}

/** The value is in milliseconds; the bounds are in the notation of the file. */
export function duration(min: string, max: string) {
  const { expected, error, parse } = durations(min, max, '');
  const schema = z.string({ error }).transform((text, ctx) => parse(text, ctx));
  return { schema, expected, fromText: asIs } satisfies ValueKind<z.ZodType>;
}

/** The same, or `off`. */
export function durationOrOff(min: string, max: string) {
  const { expected, error, parse } = durations(min, max, 'off, or ');
  const schema = z
    .string({ error })
    .transform((text, ctx) => (text === 'off' ? ('off' as const) : parse(text, ctx)));
  return { schema, expected, fromText: asIs } satisfies ValueKind<z.ZodType>;
}

function durations(min: string, max: string, otherwise: string) {
  const minMs = boundMs(min);
  const maxMs = boundMs(max);
  const expected = `${otherwise}a duration from ${min} to ${max}`;
  const hint = `expected a duration with a unit, such as "${max}"`;
  const error = (issue: Refused): string =>
    typeof issue.input === 'number'
      ? `${hint}, got the plain number ${issue.input}`
      : refuse(expected)(issue);
  const parse = (text: string, ctx: z.RefinementCtx): number => {
    const ms = parseDurationMs(text);
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    const plain = /^[0-9.]+$/.test(text);
    ctx.addIssue({
      code: 'custom',
      message: plain ? `${hint}, got the plain number ${text.slice(0, 20)}` : error({ input: text }),
    });
    return z.NEVER;
  };
  return { expected, error, parse };
}

/** Text by a rule; `expected` has to state the whole rule, because a refused text isn't shown. */
export function text(expected: string, accepts: (text: string) => boolean) {
  return {
    schema: z.string({ error: refuseUnseen(expected) }).refine(accepts, { error: `expected ${expected}` }),
    expected,
    fromText: asIs,
  } satisfies ValueKind<z.ZodType>;
}

export function hostName() {
  return text('a host name or IP address', isHost);
}

/** A path as the user wrote it. Whether the file exists is checked later, when the base of the path is known. */
export function filePath() {
  return text(
    'the path of a file',
    (path) => path.length > 0 && path.length <= 4_096 && !UNPRINTABLE.test(path),
  );
}

export function secretText() {
  return text('text of 1 to 1024 characters, in quotes if it is all digits', isSecretLength);
}

function isSecretLength(secret: string): boolean {
  return secret.length >= 1 && secret.length <= 1_024;
}

/** An address to listen on, so that port 0 (any free port) makes sense. */
export function listenAddress() {
  const expected = 'host:port with a port from 0 to 65535 (0 = any free port), IPv6 in brackets';
  return {
    schema: z.string({ error: refuseUnseen(expected) }).transform(toHostPort(0, expected)),
    expected,
    fromText: asIs,
  } satisfies ValueKind<z.ZodType>;
}

export function listenAddressOrOff() {
  const address = listenAddress();
  const expected = `off, or ${address.expected}`;
  const parse = toHostPort(0, expected);
  const schema = z
    .string({ error: refuseUnseen(expected) })
    .transform((written, ctx) => (written === 'off' ? ('off' as const) : parse(written, ctx)));
  return { schema, expected, fromText: asIs } satisfies ValueKind<z.ZodType>;
}

/** One address or a list of them, read as a list in either case. No address may be in it twice. */
export function addresses(maxCount: number) {
  const one = 'host:port with a port from 1 to 65535, IPv6 in brackets';
  const expected = `${one}; or a list of up to ${maxCount} of them`;
  const entry = z.string({ error: refuseUnseen(one) }).transform(toHostPort(1, one));
  const list = z
    .array(entry, { error: refuseUnseen(expected) })
    .min(1, { error: `expected ${expected}, got an empty list` })
    .max(maxCount, { error: `expected ${expected}, got a longer list` })
    .superRefine((entries, ctx) => {
      const seen = new Set<string>();
      for (const [index, address] of entries.entries()) {
        const identity = hostPortIdentity(address);
        if (seen.has(identity))
          ctx.addIssue({ code: 'custom', path: [index], message: 'the same address is already in the list' });
        seen.add(identity);
      }
    });
  const schema = z.preprocess((given) => (typeof given === 'string' ? [given] : given), list);
  const fromText = (written: string) => written.split(',').map((part) => part.trim());
  return { schema, expected, fromText } satisfies ValueKind<z.ZodType>;
}

function toHostPort(lowestPort: 0 | 1, expected: string) {
  return (written: string, ctx: z.RefinementCtx): HostPort => {
    const address = parseHostPort(written, lowestPort);
    if (address !== undefined) return address;
    const hint = written.includes('://')
      ? '; write it without a scheme such as redis://'
      : written.includes(',')
        ? '; write several as a list'
        : '';
    ctx.addIssue({ code: 'custom', message: `expected ${expected}${hint}` });
    return z.NEVER;
  };
}

interface Refused {
  readonly input?: unknown;
}

function refuse(expected: string) {
  return (issue: Refused): string => `expected ${expected}, got ${show(issue.input)}`;
}

function refuseUnseen(expected: string) {
  return (issue: Refused): string => `expected ${expected}, got ${nameKind(issue.input)}`;
}

function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string' && value.length <= 32) return JSON.stringify(value);
  return nameKind(value);
}

function nameKind(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (typeof value === 'boolean') return 'true or false';
  return Array.isArray(value) ? 'a list' : 'a mapping';
}

function boundMs(bound: string): number {
  const ms = parseDurationMs(bound);
  if (ms === undefined) throw new Error(`not a duration: ${bound}`);
  return ms;
}

export interface SettingNotes {
  /** The accepted values, in words. */
  readonly expected: string;
  /** In the notation of the file; undefined when a key that is left out stands for no value. */
  readonly defaultText: string | undefined;
  readonly description: string;
  readonly fromText: (text: string) => unknown;
}

const notes = z.registry<SettingNotes>();

/** A setting without a default; `description` says what it means to leave it out, unless that is obvious. */
export function optional<S extends z.ZodType>(kind: ValueKind<S>, description: string): z.ZodOptional<S> {
  return annotate(z.optional(kind.schema), kind, undefined, description);
}

/** A setting with a default, in the notation of the file; it has to pass the same checks as a given value. */
export function withDefault<S extends z.ZodType>(
  kind: ValueKind<S>,
  value: z.core.util.NoUndefined<z.input<S>> & (string | number | boolean),
  description: string,
): z.ZodPrefault<S> {
  return annotate(z.prefault(kind.schema, value), kind, String(value), description);
}

/** @throws when the schema isn't a row of the table: a mistake in this code, not in a configuration. */
export function notesOf(schema: z.ZodType): SettingNotes {
  const found = notes.get(schema);
  if (found === undefined) throw new Error('a setting without notes');
  return found;
}

function annotate<W extends z.ZodType>(
  schema: W,
  kind: ValueKind<z.ZodType>,
  defaultText: string | undefined,
  description: string,
): W {
  notes.add(schema, {
    expected: kind.expected,
    defaultText,
    description,
    fromText: (written) => kind.fromText(written),
  });
  return schema;
}
