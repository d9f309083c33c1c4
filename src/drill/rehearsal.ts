// The phases of a drill, in order: before the failover, during it, after it. Owns what it waits for and for how long;
// the load, the watch and the numbers are in the files beside it.

import { type Clock, pause } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { Canary } from './canary.ts';
import type { CanaryRecord } from './canary-record.ts';
import type { DrillPlan, Phase } from './drill-plan.ts';
import { type DrillMarks, inSeconds } from './drill-report.ts';
import type { DrillTimeline } from './drill-timeline.ts';
import type { FailoverWatch } from './failover-watch.ts';
import type { Objection } from './objections.ts';
import type { SentinelSide } from './sentinel-side.ts';

export interface RehearsalOptions {
  readonly plan: DrillPlan;
  readonly canary: Canary;
  readonly record: CanaryRecord;
  readonly timeline: DrillTimeline;
  readonly watch: FailoverWatch;
  readonly sentinels: SentinelSide;
  readonly clock: Clock;
  readonly quarantineMs: number;
  /** Looks once more whether a failover is safe. */
  readonly judge: () => Promise<{
    readonly objections: readonly Objection[];
    readonly sentinel: HostPort | undefined;
  }>;
  readonly onPhase: (phase: Phase) => void;
  /** Its abort makes every wait reject. */
  readonly signal: AbortSignal;
}

export type Rehearsed =
  | { readonly kind: 'done'; readonly marks: DrillMarks; readonly troubles: readonly string[] }
  /** Nothing was triggered. */
  | { readonly kind: 'refused'; readonly objections: readonly Objection[] };

const LOOK_EVERY_MS = 50;
/** Beyond the quarantine: how long the servers may take until they grant again. */
export const GRANTS_WITHIN_MS = 60_000;
const OPERATIONS_WITHIN_MS = 15_000;

/** The load runs already. */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsed> {
  const { plan, canary, record, timeline, watch, clock, signal, onPhase } = options;
  onPhase('before');
  const readyMs = clock.monotonicMs();
  timeline.say('drill', `before: the load runs for ${inSeconds(plan.beforeMs)}, for comparison`);
  await until(options, () => false, plan.beforeMs);

  const troubles: string[] = [];
  const waitsSinceMs = clock.monotonicMs();
  if (plan.cause === 'trigger') {
    // Much can happen in the time that a person takes to say yes.
    const { objections, sentinel } = await options.judge();
    signal.throwIfAborted();
    if (objections.length > 0) return { kind: 'refused', objections };
    onPhase('during');
    troubles.push(...(await trigger(options, sentinel)));
  } else {
    onPhase('during');
    const within = inSeconds(plan.withinMs);
    timeline.say('drill', `during: waits up to ${within} for a failover that somebody else causes`);
  }
  if (troubles.length === 0) {
    await until(options, () => watch.switched !== undefined, plan.withinMs);
    if (!watch.switched) troubles.push(noSwitch(plan));
  }

  const begunMs = watch.askedAtMs ?? beginningOf(record, watch.switched?.atMs ?? waitsSinceMs);
  if (watch.switched) {
    const withinMs = options.quarantineMs + GRANTS_WITHIN_MS;
    await until(options, () => watch.areGrantsBack(record, begunMs), withinMs);
    if (watch.grantsBackMs === undefined) {
      troubles.push(
        `grants did not come back within ${inSeconds(withinMs)} after the switch: ${watch.missing}`,
      );
    }
  }
  if (watch.grantsBackMs !== undefined) {
    onPhase('after');
    timeline.say('drill', `after: grants are back; the load goes on for ${inSeconds(plan.afterMs)}`);
    await until(options, () => false, plan.afterMs);
  }
  if (watch.lastSwitched !== watch.switched) {
    const [first, last] = [watch.switched?.to, watch.lastSwitched?.to];
    troubles.push(`${first} did not stay the primary: another failover followed, to ${last}`);
  }
  const switchedMs = watch.switched?.atMs;
  const { grantsBackMs } = watch;
  const marks = { readyMs, begunMs, switchedMs, grantsBackMs, endMs: clock.monotonicMs() };
  await canary.finish(OPERATIONS_WITHIN_MS, marks, signal);
  signal.throwIfAborted();
  return { kind: 'done', marks, troubles };
}

async function trigger(
  { watch, timeline, sentinels, clock }: RehearsalOptions,
  sentinel: HostPort | undefined,
): Promise<readonly string[]> {
  if (!sentinel) return ['no failover happened: no Sentinel could be asked for one'];
  const by = formatHostPort(sentinel);
  watch.askedAtMs = clock.monotonicMs();
  timeline.say('drill', `during: asks the Sentinel at ${by} for a failover`);
  const answer = await sentinels.startFailover(sentinel);
  if (answer.kind === 'unknown') {
    timeline.say('drill', `the Sentinel did not answer (${answer.reason}); it may have begun all the same`);
  }
  if (answer.kind !== 'refused') return [];
  watch.askedAtMs = undefined;
  return [`no failover happened: the Sentinel at ${by} says "${answer.reply}"${meaningOf(answer.reply)}`];
}

function noSwitch({ cause, withinMs }: DrillPlan): string {
  const within = `within ${inSeconds(withinMs)} (--within)`;
  if (cause === 'observe') return `no failover happened ${within}`;
  return `no failover happened: no Sentinel named another primary ${within}. It may still come until the failover-timeout is over`;
}

/** A failover that was only observed began with the last renewal before it. */
function beginningOf({ renewals }: CanaryRecord, switchedMs: number): number {
  return renewals.findLast((atMs) => atMs <= switchedMs) ?? switchedMs;
}

/** Waits until the condition holds or the time is up; rejects when the drill is interrupted. */
async function until(
  { clock, signal }: Pick<RehearsalOptions, 'clock' | 'signal'>,
  isMet: () => boolean,
  withinMs: number,
): Promise<void> {
  const untilMs = clock.monotonicMs() + withinMs;
  while (!isMet() && !signal.aborted && clock.monotonicMs() < untilMs) {
    await pause(clock, Math.min(LOOK_EVERY_MS, untilMs - clock.monotonicMs()), signal);
  }
  signal.throwIfAborted();
}

function meaningOf(reply: string): string {
  if (reply.includes('NOGOODSLAVE')) return ', since it knows no replica that it would promote now';
  if (reply.includes('INPROG')) return ', since another failover is in progress';
  if (reply.includes('NOPERM')) return ', so its user needs the right +sentinel|failover';
  return '';
}
