// What serves operations in one instance, with its orderly end: the services, the streams, and what they share. Its
// twin for locks is lock-side.ts; the instance around both is instance.ts.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { AttemptStreams } from '../service/attempt-streams.ts';
import type { CallStamps } from '../service/call.ts';
import { ClaimRoom } from '../service/claim-room.ts';
import type { OperationObserver } from '../service/operation-observer.ts';
import { OperationService } from '../service/operation-service.ts';
import { OperationWaits } from '../service/operation-waits.ts';
import { OperationWatch } from '../service/operation-watch.ts';
import { RenewalWheel } from '../service/renewal-wheel.ts';
import { attemptRenewals } from '../service/renewals.ts';
import type { OperationStore } from '../store/operation-store.ts';
import type { OperationServices } from '../transport/operation-handlers.ts';

export interface OperationSideObserver extends OperationObserver {
  /** A heartbeat of a kept attempt was answered, so long after it was due. */
  heartbeatAnswered(lagMs: number): void;
}

export interface OperationSideParts {
  readonly store: OperationStore;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly stamps: CallStamps;
  readonly commandTimeoutMs: number;
  readonly maxTtlMs: number;
  readonly observer: OperationSideObserver;
  readonly log: Logger;
}

export interface OperationSide {
  readonly services: OperationServices;
  readonly counts: {
    readonly waitingClaims: () => number;
    readonly operationWaits: () => number;
    readonly keptAttempts: () => number;
    readonly watches: () => number;
  };
  /** From here on nothing begins; streams end within `streamsEndMs`. */
  drain(streamsEndMs: number): void;
  close(): void;
}

export function makeOperationSide(parts: OperationSideParts): OperationSide {
  const { store, clock, random, commandTimeoutMs, stamps, maxTtlMs, observer, log } = parts;
  const common = { store, clock, commandTimeoutMs };
  const claimRoom = new ClaimRoom({ ...common, observer, random });
  const waits = new OperationWaits(common);
  const wheel = new RenewalWheel({
    renewals: attemptRenewals(store),
    clock,
    commandTimeoutMs,
    random,
    onDefect: (thrown) => log.error({ err: thrown }, 'a defect while attempts were kept alive'),
    onLag: (lagMs) => observer.heartbeatAnswered(lagMs),
  });
  const watch = new OperationWatch(common);
  const streams = new AttemptStreams({ wheel, clock, stamps, maxTtlMs });
  const operations = new OperationService({
    ...common,
    claimRoom,
    observer,
    stamps,
    onMutation: log.isLevelEnabled('debug') ? (record) => log.debug(record, 'mutation') : undefined,
  });
  return {
    services: { operations, waits, streams, watch },
    counts: {
      waitingClaims: () => claimRoom.size,
      operationWaits: () => waits.size,
      keptAttempts: () => wheel.size,
      watches: () => watch.size,
    },
    drain(streamsEndMs) {
      operations.drain();
      waits.drain();
      watch.drain();
      streams.drain(streamsEndMs);
    },
    close() {
      wheel.close();
      claimRoom.close();
      waits.close();
    },
  };
}
