// `leasehold drill failover`: tells people what will happen, asks them, runs the drill, and prints what it found. The
// drill itself is in src/drill.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, unlinkSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { isatty } from 'node:tty';
import type { Config, SentinelRedisConfig } from '../config/config.ts';
import { examine } from '../doctor/examine.ts';
import { wakefulClock } from '../domain/clock.ts';
import { formatHostPort } from '../domain/host-port.ts';
import { LoadNotRunningError } from '../drill/canary.ts';
import { Drill, type DrillEnd, type DrillForecast } from '../drill/drill.ts';
import { drillPicture } from '../drill/drill-picture.ts';
import { CALLERS_PER_QUEUE, type DrillPlan } from '../drill/drill-plan.ts';
import { drillText, loadText } from '../drill/drill-text.ts';
import { configOf } from './config-of.ts';
import { connector } from './connect.ts';
import { DrillProgress } from './drill-progress.ts';
import { findingText, type SafetyFinding, verdictOn } from './drill-safety.ts';
import { EXIT, Exit } from './exit.ts';
import { complain } from './notices.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { print, printJson } from './output.ts';
import type { Env } from './program-context.ts';
import { Signals } from './signals.ts';
import { printable, span, timeOfDay } from './text.ts';

interface DrillFlags extends ConnectionOptions, OutputOptions {
  readonly config?: string;
  readonly yes?: true;
  readonly observe?: true;
  readonly svg?: string;
  readonly before: number;
  readonly within: number;
  readonly settle: number;
  readonly rest?: number;
  readonly holders: number;
  readonly rate: number;
  readonly queues: number;
  readonly operations: number;
  readonly ttl?: number;
  readonly prefix: string;
  readonly maxWithoutRenewals: number;
  readonly maxWithoutGrants?: number;
  readonly maxLost: number;
  readonly accept?: readonly string[];
}

const RUN_BYTES = 4;

export async function drillFailover(flags: DrillFlags, env: Env): Promise<never> {
  const canAsk = isatty(0) && isatty(2);
  if (!flags.yes && !flags.observe && !canAsk) {
    throw new Exit(
      EXIT.usage,
      'drill failover: nobody can be asked here, since this is no terminal. Give --yes to fail Redis over without a question.',
    );
  }
  const config = configOf(flags.config, env, EXIT.usage);
  const redis = sentinelsOf(config);
  if (flags.svg !== undefined) checkWritable(flags.svg);
  const signals = new Signals();
  const progress = new DrillProgress(wakefulClock);
  const drill = new Drill(
    {
      plan: planOf(flags),
      redis,
      servers: flags.server,
      connect: connector(flags, env),
      clock: wakefulClock,
      signal: signals.stop,
      onEvent: (event) => progress.tell(event),
    },
    randomBytes(RUN_BYTES).toString('hex'),
  );
  const sayWhatIsLeft = (): void => leaveWord(drill, progress);
  process.once('exit', sayWhatIsLeft); // a second Ctrl-C ends the process at once
  try {
    const forecast = await lookFirst({ drill, flags, config });
    signals.stop.throwIfAborted();
    if (!flags.yes && !flags.observe) await ask(drill, flags, forecast, signals);
    else for (const line of announcement(drill, flags, forecast)) complain(line);
    progress.begin(() => statusOf(drill));
    let end: DrillEnd;
    try {
      end = await drill.run();
    } catch (error) {
      if (error instanceof LoadNotRunningError) throw new Exit(EXIT.unavailable, error.message);
      throw error;
    } finally {
      progress.end();
    }
    await tellWhatIsLeft(drill);
    throw await exitOf(end, drill, flags, signals);
  } catch (error) {
    // Calls that a Ctrl-C gave up fail in their own ways.
    if (signals.received && !(error instanceof Exit)) throw await interrupted(drill, flags, signals.received);
    throw error;
  } finally {
    process.off('exit', sayWhatIsLeft);
    drill.close();
  }
}

function sentinelsOf({ redis }: Config): SentinelRedisConfig {
  if (redis?.kind === 'sentinel') return redis;
  const found = redis ? 'names a single Redis' : 'has no redis section';
  throw new Exit(
    EXIT.usage,
    `--config: the configuration ${found}. A failover needs Sentinels: redis.failover_cluster, redis.master_name, redis.address.`,
  );
}

function checkWritable(file: string): void {
  try {
    const isNew = !existsSync(file);
    writeFileSync(file, '', { flag: 'a' });
    if (isNew) unlinkSync(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Exit(EXIT.usage, `--svg: ${why}.`);
  }
}

function planOf(flags: DrillFlags): DrillPlan {
  return {
    cause: flags.observe ? 'observe' : 'trigger',
    prefix: flags.prefix,
    beforeMs: flags.before,
    withinMs: flags.within,
    afterMs: flags.settle,
    ttlMs: flags.ttl,
    restMs: flags.rest,
    accepted: flags.accept ?? [],
    load: {
      holders: flags.holders,
      acquiresPerSecond: flags.rate,
      queues: flags.queues,
      operations: flags.operations,
    },
    allowed: {
      withoutRenewalsMs: flags.maxWithoutRenewals,
      withoutGrantsMs: flags.maxWithoutGrants,
      lost: flags.maxLost,
    },
  };
}

interface Look {
  readonly drill: Drill;
  readonly flags: DrillFlags;
  readonly config: Config;
}

/** Throws an Exit where something speaks against a failover. */
async function lookFirst({ drill, flags, config }: Look): Promise<DrillForecast> {
  const { objections, forecast } = await drill.look(flags.timeout);
  // A failover that somebody else causes happens in spite of what is wrong.
  const examined = flags.observe ? [] : (await examine(config, { clock: wakefulClock })).findings;
  const { blocking, accepted, needless } = verdictOn(objections, examined, flags.accept ?? []);
  for (const finding of accepted) complain(`accepted: ${findingText(finding)}`);
  for (const name of needless) complain(`--accept ${name}: nothing was found by this check.`);
  if (blocking.length === 0 && forecast) return forecast;
  throw await refused(blocking, flags, 'nothing was touched');
}

function announcement(drill: Drill, flags: DrillFlags, forecast: DrillForecast): readonly string[] {
  const plan = planOf(flags);
  const { primary, replicas, ttlMs, quarantineMs, hasRollCall } = forecast;
  const nodes = replicas.map(formatHostPort).join(', ');
  const what = flags.observe
    ? 'it measures a failover that you cause, and causes none'
    : 'SENTINEL FAILOVER makes one of the replicas the primary';
  const quarantine = hasRollCall
    ? `until all servers have answered the roll call, at most ${span(quarantineMs)} (the quarantine),`
    : `for about ${span(quarantineMs)} (the quarantine)`;
  const callers = plan.load.queues * CALLERS_PER_QUEUE;
  return [
    `drill failover: the primary is ${formatHostPort(primary)}, its replicas are ${nodes}: ${what}`,
    `cost for everybody: nothing new is granted ${quarantine} and the switch; ` +
      'leases that are held are renewed again in a few seconds',
    `load: ${loadText(plan)}, ${callers} callers that wait; TTL ${span(ttlMs)}; all under ${drill.prefix}`,
  ];
}

async function ask(
  drill: Drill,
  flags: DrillFlags,
  forecast: DrillForecast,
  signals: Signals,
): Promise<void> {
  for (const line of announcement(drill, flags, forecast)) complain(line);
  // Not as a terminal: Ctrl-C then stays a signal, and ends the question like everything else.
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const ended = once(reader, 'close').then(() => ''); // Ctrl-D: the question itself would wait for ever
    const question = reader.question('Fail over now? [y/N] ', { signal: signals.stop });
    const answer = await Promise.race([question, ended]);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    reader.close();
  }
  throw new Exit(EXIT.no, 'drill failover: not confirmed, and nothing was touched.');
}

function statusOf({ stage }: Drill): string {
  const next =
    stage === 'cleaning up' ? 'leaves the rest to end by itself' : 'ends it and takes back its load';
  return `${stage} (Ctrl-C ${next})`;
}

async function tellWhatIsLeft(drill: Drill): Promise<void> {
  const listed = await drill.listed();
  const { operations } = drill.left();
  if (listed === 0 && operations === 0) return;
  const locks = listed === undefined ? 'locks that no server could be asked about' : counted(listed, 'lock');
  complain(`left under ${drill.prefix}: ${untilWhen(drill, listed === 0 ? undefined : locks)}.`);
}

function untilWhen(drill: Drill, locks: string | undefined): string {
  const { operations } = drill.left();
  const forMs = drill.leftForMs();
  const ending = (what: string, ms: number): string =>
    `${what}, to end by ${timeOfDay(wakefulClock.wallMs() + ms)} UTC`;
  return [
    ...(locks === undefined ? [] : [ending(locks, forMs.leases)]),
    ...(operations === 0 ? [] : [ending(counted(operations, 'operation'), forMs.operations)]),
  ].join('; ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

async function exitOf(end: DrillEnd, drill: Drill, flags: DrillFlags, signals: Signals): Promise<Exit> {
  if (end.kind === 'interrupted') return interrupted(drill, flags, signals.received ?? 'SIGINT');
  if (end.kind === 'refused') {
    const { blocking } = verdictOn(end.objections, [], []);
    return refused(blocking, flags, 'no failover was caused');
  }
  const { report, record, marks } = end;
  if (flags.json) await printJson({ kind: 'report', ...report });
  else await print(printableLines(drillText(report)));
  if (flags.svg !== undefined) draw(flags.svg, drillPicture(report, record, marks));
  return new Exit(report.passed ? 0 : EXIT.no);
}

async function interrupted(drill: Drill, flags: DrillFlags, signal: NodeJS.Signals): Promise<Exit> {
  const failover = drill.failoverNow();
  if (flags.json) await printJson({ kind: 'interrupted', failover });
  complain(`interrupted. ${failover}`);
  return Exit.by(signal);
}

async function refused(findings: readonly SafetyFinding[], flags: DrillFlags, sofar: string): Promise<Exit> {
  if (flags.json) await printJson({ kind: 'refused', findings });
  for (const finding of findings) complain(findingText(finding));
  return new Exit(EXIT.no, `drill failover: refused, and ${sofar}. Put this right first.`);
}

/** The report is told already: a full disk costs the picture alone. */
function draw(file: string, picture: string): void {
  try {
    writeFileSync(file, picture);
  } catch (error) {
    complain(`--svg: ${error instanceof Error ? error.message : String(error)}. There is no picture.`);
  }
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** The process ends at once: what it could not take back ends by itself. */
function leaveWord(drill: Drill, progress: DrillProgress): void {
  progress.end();
  const { leases, operations, hasFailedOver } = drill.left();
  const forgotten = hasFailedOver ? 'locks whose release the failover may have forgotten' : undefined;
  const locks = leases > 0 ? counted(leases, 'lease') : forgotten;
  if (locks !== undefined || operations > 0)
    complain(`left behind under ${drill.prefix}: ${untilWhen(drill, locks)}.`);
  complain(drill.failoverNow());
}
