// Examines a deployment: gathers the facts and lets each check judge them.

import type { Config } from '../config/config.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { formatHostPort } from '../domain/host-port.ts';
import { CHECKS } from './checks.ts';
import { type Examination, type Finding, SEVERITIES } from './examination.ts';
import type { Examined } from './facts.ts';
import { gatherFacts } from './gather-facts.ts';

export interface ExamineOptions {
  readonly clock?: Clock;
}

/**
 * Looks at Redis and the Sentinels directly, and changes nothing there. Resolves within some 10 s, also when none of
 * them can be reached: that is a finding. Rejects for a configuration without a Redis, and when the files of its TLS
 * can't be read.
 */
export async function examine(
  config: Config,
  { clock = systemClock }: ExamineOptions = {},
): Promise<Examination> {
  const { redis } = config;
  if (!redis) throw new NothingToExamineError();
  const beganAtMs = clock.monotonicMs();
  const facts = await gatherFacts(config, redis, clock);
  return {
    examinedAtMs: facts.nowMs,
    tookMs: Math.round(clock.monotonicMs() - beganAtMs),
    deployment: describe({ config, redis, facts }),
    findings: judge({ config, redis, facts }),
  };
}

export class NothingToExamineError extends Error {
  override readonly name = 'NothingToExamineError';
  constructor() {
    super('the configuration has no redis section: the store is in memory, and there is nothing to examine');
  }
}

/** The worst first; among equals, in the order of the checks. */
export function judge(examined: Examined): readonly Finding[] {
  const findings = CHECKS.flatMap(({ name, judge }) =>
    judge(examined).map((judgement): Finding => ({ check: name, ...judgement })),
  );
  return findings.toSorted((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
}

function describe({ redis, facts }: Examined): string {
  const count = (all: readonly unknown[], what: string): string =>
    `${all.length} ${what}${all.length === 1 ? '' : 's'}`;
  const nodes = count(facts.nodes, 'Redis node');
  if (redis.kind === 'single') return `${formatHostPort(redis.address)}: ${nodes}`;
  return `${redis.masterName}: ${nodes}, ${count(facts.sentinels, 'Sentinel')}`;
}
