// What `leasehold doctor` does: examines once and ends with 0, 1 or 2, or examines again and again. In place of Redis it
// can ask a server, which then examines with its own configuration and from its own place.

import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { type Examination, type Severity, worstOf } from '../doctor/examination.ts';
import { examinationFromJson, examinationToJson } from '../doctor/examination-json.ts';
import { examine } from '../doctor/examine.ts';
import { pause, wakefulClock } from '../domain/clock.ts';
import { configOf } from './config-of.ts';
import { changesBetween, changeText, reportText } from './doctor-text.ts';
import { EXIT, Exit } from './exit.ts';
import { print, terminalWidth } from './output.ts';
import type { Env } from './program-context.ts';
import { printable, timeOfDay } from './text.ts';

export interface DoctorOptions {
  readonly config?: string;
  /** The origin of an admin port. */
  readonly admin?: string;
  /** Milliseconds. */
  readonly watch?: number;
  readonly json?: true;
  readonly verbose?: true;
}

/** Longer than an examination takes with everything away. */
const ADMIN_WITHIN_MS = 30_000;
const MOST_CHARACTERS = 10_000_000;
const PATH = '/doctor';

const CODES: Readonly<Record<Severity, number>> = { ok: 0, info: 0, warning: 1, error: 2 };

export async function runDoctor(options: DoctorOptions, env: Env): Promise<void> {
  const look = lookFor(options, env);
  if (options.watch !== undefined) return watch(look, options.watch, options);
  const examination = await look();
  await print(textOf(examination, options));
  const code = CODES[worstOf(examination.findings)];
  if (code > 0) throw new Exit(code);
}

type LookAgain = () => Promise<Examination>;

function lookFor({ admin, config: file }: DoctorOptions, env: Env): LookAgain {
  if (admin !== undefined) return () => askServer(admin);
  const config = configOf(file, env, EXIT.unavailable);
  return async () => {
    try {
      return await examine(config, { clock: wakefulClock });
    } catch (error) {
      throw new Exit(EXIT.unavailable, `could not examine: ${reasonOf(error)}`);
    }
  };
}

async function askServer(origin: string): Promise<Examination> {
  const fail = (why: string): never => {
    throw new Exit(EXIT.unavailable, printable(`${origin}${PATH}: ${why}`));
  };
  const answer = await getText(`${origin}${PATH}`, ADMIN_WITHIN_MS).catch((error: unknown) =>
    fail(`${reasonOf(error)}. Check --admin, and that a server has its admin port there.`),
  );
  if (answer.status === 200) {
    return examinationFromJson(answer.text) ?? fail('what answers there is not a Leasehold server');
  }
  return fail(
    errorIn(answer.text) ??
      `status ${answer.status}: what answers there is no Leasehold server that has this page`,
  );
}

/** Not by fetch, which refuses many ports. */
function getText(url: string, withinMs: number): Promise<{ readonly status: number; readonly text: string }> {
  const get = url.startsWith('https:') ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(withinMs);
    signal.addEventListener('abort', () => reject(new Error(`no answer within ${withinMs} ms`)));
    const request = get(url, { signal }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.length > MOST_CHARACTERS) response.destroy(new Error('the answer does not end'));
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

function errorIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0]); // both addresses of "localhost"
  return error instanceof Error ? error.message : String(error);
}

function textOf(examination: Examination, { json, verbose }: DoctorOptions): string {
  if (json) return `${examinationToJson(examination)}\n`;
  return reportText(examination, { verbose: verbose === true, width: terminalWidth() });
}

/** Never returns: Ctrl-C ends it. */
async function watch(look: LookAgain, everyMs: number, options: DoctorOptions): Promise<void> {
  let last: Examination | undefined;
  for (;;) {
    const next = await lookOrSay(look);
    if (next) {
      if (options.json || !last) await print(textOf(next, options));
      else await print(changesBetween(last, next).map(changeText(next.examinedAtMs)).join(''));
      last = next;
    }
    await pause(wakefulClock, everyMs);
  }
}

async function lookOrSay(look: LookAgain): Promise<Examination | undefined> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    process.stderr.write(`${timeOfDay(wakefulClock.wallMs())}  ${error.message}\n`);
    return undefined;
  }
}
