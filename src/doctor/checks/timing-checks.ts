// How long Redis takes to answer from here, and how far the clocks are apart.

import { formatHostPort } from '../../domain/host-port.ts';
import { SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type ClockSample, type Examined, seenOf } from '../facts.ts';
import { ofEach, spanText } from './node-judgements.ts';

const SLOW_MS = 10;

export const TIMING_CHECKS: readonly Check[] = [
  {
    name: 'round-trip',
    about:
      'Redis answers from here within 10 ms (median), and never later than half of `redis.command_timeout`.',
    judge: roundTrip,
  },
  {
    name: 'clocks',
    about: 'The clocks of the Redis nodes are less than 1 s apart; the promise of one holder rests on 2 s.',
    judge: clocks,
  },
  {
    name: 'clock-here',
    about: 'So is the clock of this machine. No promise depends on it, but logs do.',
    judge: clockHere,
  },
];

function roundTrip(examined: Examined): readonly Judgement[] {
  const { commandTimeoutMs } = examined.redis;
  return ofEach(
    examined,
    ({ roundTripsMs }) => roundTripsMs,
    (subject, trips) => {
      const sorted = trips.toSorted((a, b) => a - b);
      const [median, most] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
      if (median === undefined || most === undefined) return undefined;
      const seen = `it answers after ${spanText(median)} (median of ${trips.length}), ${spanText(most)} at most`;
      if (median <= SLOW_MS && most <= commandTimeoutMs / 2) return ok(subject, seen);
      return warning(subject, {
        seen,
        why:
          most > commandTimeoutMs / 2
            ? `a command fails after redis.command_timeout, ${spanText(commandTimeoutMs)}`
            : 'each call waits for one round trip at least, and one process renews fewer leases',
        fix: 'run Leasehold nearer to Redis, or find what keeps Redis or the network busy: SLOWLOG GET, LATENCY DOCTOR',
      });
    },
  );
}

interface NodeClock extends ClockSample {
  readonly subject: string;
}

function clocksOf({ facts }: Examined): readonly NodeClock[] {
  return facts.nodes.flatMap(({ address, clock }) => {
    const sample = seenOf(clock);
    return sample ? [{ subject: formatHostPort(address), ...sample }] : [];
  });
}

function clocks(examined: Examined): readonly Judgement[] {
  const known = clocksOf(examined).toSorted((a, b) => a.offsetMs - b.offsetMs);
  const [slowest, fastest] = [known[0], known.at(-1)];
  if (!slowest || !fastest || slowest === fastest) return [];
  // What they are apart for certain, without what the round trips hid.
  const apartMs = fastest.offsetMs - slowest.offsetMs;
  const certainMs = apartMs - fastest.uncertaintyMs - slowest.uncertaintyMs;
  const seen = `the clock of ${fastest.subject} is ${spanText(apartMs)} ahead of that of ${slowest.subject}`;
  if (certainMs < SKEW_ALLOWANCE_MS / 2)
    return [ok('deployment', `the clocks of the nodes are within ${spanText(Math.max(0, apartMs))}`)];
  const told = {
    seen,
    why: `one lock has one holder only while the clocks of the nodes are within ${spanText(SKEW_ALLOWANCE_MS)} of each other`,
    fix: 'put both machines under NTP (timedatectl set-ntp true), and compare: chronyc tracking',
  };
  return [certainMs >= SKEW_ALLOWANCE_MS ? error('deployment', told) : warning('deployment', told)];
}

function clockHere(examined: Examined): readonly Judgement[] {
  return clocksOf(examined).map(({ subject, offsetMs, uncertaintyMs }) => {
    const certainMs = Math.abs(offsetMs) - uncertaintyMs;
    const direction = offsetMs < 0 ? 'behind' : 'ahead of';
    if (certainMs < SKEW_ALLOWANCE_MS / 2) {
      return ok(subject, `its clock and the one here are within ${spanText(Math.abs(offsetMs))}`);
    }
    return info(subject, {
      seen: `its clock is ${spanText(Math.abs(offsetMs))} ${direction} the one here`,
      why: "no promise depends on the clock here, but the log here and that of Redis can't be compared",
      fix: 'put both machines under NTP (timedatectl set-ntp true)',
    });
  });
}
