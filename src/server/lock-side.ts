// What serves locks in one instance, with its orderly end: the services, the streams, and what they share. Its twin for
// operations is operation-side.ts; the instance around both is instance.ts.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { Acquisitions } from '../service/acquisitions.ts';
import type { CallStamps } from '../service/call.ts';
import { Contention } from '../service/contention/contention.ts';
import type { Deadlock } from '../service/contention/wait-graph.ts';
import { ForceRelease, type ForceReleaseRecord } from '../service/force-release.ts';
import { LeaseStreams } from '../service/lease-streams.ts';
import { type KeepingObserver, type LockObserver, observers } from '../service/lock-observer.ts';
import { LockService } from '../service/lock-service.ts';
import { LockWatch } from '../service/lock-watch.ts';
import { RenewalWheel } from '../service/renewal-wheel.ts';
import { leaseRenewals } from '../service/renewals.ts';
import { WaitRoom } from '../service/wait-room.ts';
import type { ContentionBoard } from '../store/contention-board.ts';
import type { LockStore } from '../store/lock-store.ts';
import type { LockServices } from '../transport/lock-handlers.ts';

export interface LockSideParts {
  readonly store: LockStore;
  readonly board: ContentionBoard;
  readonly instanceId: string;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly stamps: CallStamps;
  readonly commandTimeoutMs: number;
  readonly maxTtlMs: number;
  readonly log: Logger;
  readonly observer: LockObserver;
  readonly keeping: KeepingObserver;
}

export interface LockSide {
  readonly services: Omit<LockServices, 'info'>;
  readonly counts: {
    readonly waitingCalls: () => number;
    readonly oldestWaitMs: () => number;
    readonly keptLeases: () => number;
    readonly watches: () => number;
    readonly suspectedDeadlocks: () => number;
  };
  /** From here on nothing begins; streams end within `streamsEndMs`. */
  drain(streamsEndMs: number): void;
  close(): Promise<void>;
}

export function makeLockSide(parts: LockSideParts): LockSide {
  const { store, board, instanceId, clock, random, stamps, commandTimeoutMs, maxTtlMs, log, keeping } = parts;
  const common = { store, clock, commandTimeoutMs };
  const onDeadlock = (deadlock: Deadlock): void => log.warn(namesOf(deadlock), 'a deadlock is suspected');
  const contention = new Contention({ ...common, board, instanceId, random, onDeadlock });
  const observer = observers(contention, parts.observer);
  const waitRoom = new WaitRoom({ ...common, instanceId, random });
  const acquisitions = new Acquisitions({ ...common, waitRoom, observer });
  const wheel = new RenewalWheel({
    renewals: leaseRenewals(store),
    clock,
    commandTimeoutMs,
    random,
    onDefect: (thrown) => log.error({ err: thrown }, 'a defect while leases were renewed'),
    onLag: (lagMs) => keeping.renewed(lagMs),
  });
  const watch = new LockWatch(common);
  const streams = new LeaseStreams({ ...common, acquisitions, observer, keeping, wheel, stamps, maxTtlMs });
  const locks = new LockService({
    ...common,
    waitRoom,
    acquisitions,
    observer,
    stamps,
    onMutation: log.isLevelEnabled('debug') ? (record) => log.debug(record, 'mutation') : undefined,
  });
  const audit = (record: ForceReleaseRecord): void => log.info(record, 'force release');
  const force = new ForceRelease({ ...common, observer, audit });
  return {
    services: { locks, streams, watch, force, contention },
    counts: {
      waitingCalls: () => waitRoom.size,
      oldestWaitMs: () => contention.oldestWaitMs,
      keptLeases: () => wheel.size,
      watches: () => watch.size,
      suspectedDeadlocks: () => contention.deadlockCount,
    },
    drain(streamsEndMs) {
      locks.drain();
      watch.drain();
      streams.drain(streamsEndMs);
    },
    close() {
      wheel.close();
      waitRoom.close();
      return contention.close();
    },
  };
}

/** With the names: without them, nobody on call could do anything. */
function namesOf(deadlock: Deadlock): object {
  const members = deadlock.map(({ owner, holds, fencingToken, waitsFor }) => {
    return { owner, holds, fencingToken: fencingToken.toString(), waitsFor };
  });
  return { members };
}
