// LockService over gRPC: each rpc decodes, calls the service's method of the same name, and encodes.

import type { LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import type { Contention } from '../service/contention/contention.ts';
import type { ForceRelease } from '../service/force-release.ts';
import type { LeaseStreams } from '../service/lease-streams.ts';
import type { LockService } from '../service/lock-service.ts';
import type { LockWatch } from '../service/lock-watch.ts';
import type { ServerInfoService } from '../service/server-info-service.ts';
import {
  decodeAcquire,
  decodeAcquireMany,
  decodeCheckFencingToken,
  decodeForceRelease,
  decodeGetLock,
  decodeHold,
  decodeKeepAlive,
  decodeRelease,
  decodeRenew,
  type LeaseBounds,
} from './decode-lock.ts';
import { decodeListContendedLocks, decodeListLocks, decodeWatchLocks } from './decode-lock-query.ts';
import { encodeDuration } from './durations.ts';
import { encodeContendedLocks, encodeDeadlocks } from './encode-contention.ts';
import { encodeLease, encodeLock, encodeServerInfo } from './encode-lock.ts';
import type { Handlers } from './grpc/rpc.ts';
import { sendHold, sendKeepAlive } from './lease-events.ts';
import { watchSink } from './lock-watch-events.ts';
import { serverStream } from './stream.ts';
import { tracedSink } from './traced-sink.ts';
import { type CallEnvironment, unary } from './unary-handler.ts';

export interface LockServices {
  readonly locks: LockService;
  readonly streams: LeaseStreams;
  readonly watch: LockWatch;
  readonly info: ServerInfoService;
  readonly force: ForceRelease;
  readonly contention: Contention;
}

export function lockHandlers(
  { locks, streams, watch, info, force, contention }: LockServices,
  bounds: LeaseBounds,
  environment: CallEnvironment,
): Handlers<LockServiceService> {
  return {
    acquire: unary('Acquire', environment, async (request, context) => {
      const { spec, waitMs } = decodeAcquire(request, bounds);
      return { lease: encodeLease(await locks.acquire(spec, waitMs, context)) };
    }),
    renew: unary('Renew', environment, async (request, context) => ({
      lease: encodeLease(await locks.renew(decodeRenew(request, bounds), context)),
    })),
    release: unary('Release', environment, async (request, context) => ({
      released: await locks.release(decodeRelease(request), context),
    })),
    getLock: unary('GetLock', environment, async (request, context) => ({
      lock: encodeLock(await locks.get(decodeGetLock(request), context)),
    })),
    getServerInfo: unary('GetServerInfo', environment, () => ({ info: encodeServerInfo(info.get()) })),
    acquireMany: unary('AcquireMany', environment, async (request, context) => {
      const { specs, waitMs } = decodeAcquireMany(request, bounds);
      return { leases: (await locks.acquireMany(specs, waitMs, context)).map(encodeLease) };
    }),
    hold: serverStream('Hold', environment, (request, context, send) => {
      const command = decodeHold(request, bounds);
      return streams.hold(command, context, (about, event) => sendHold(send, about, event));
    }),
    keepAlive: serverStream('KeepAlive', environment, (request, context, send) => {
      const command = decodeKeepAlive(request, bounds);
      return streams.keepAlive(command, context, (about, event) => sendKeepAlive(send, about, event));
    }),
    listLocks: unary('ListLocks', environment, async (request, context) => {
      const { locks: listed, nextPageToken } = await locks.list(decodeListLocks(request), context);
      return { locks: listed.map(encodeLock), nextPageToken };
    }),
    listContendedLocks: unary('ListContendedLocks', environment, async (request, context) =>
      encodeContendedLocks(await contention.contendedLocks(decodeListContendedLocks(request), context)),
    ),
    listSuspectedDeadlocks: unary('ListSuspectedDeadlocks', environment, async (_request, context) =>
      encodeDeadlocks(await contention.suspectedDeadlocks(context)),
    ),
    watchLocks: serverStream('WatchLocks', environment, (request, context, send, flow) =>
      watch.watch(decodeWatchLocks(request), context, tracedSink(watchSink(send, flow), context.trace)),
    ),
    checkFencingToken: unary('CheckFencingToken', environment, async (request, context) => {
      const { resource, fencingToken } = decodeCheckFencingToken(request);
      return { valid: await locks.checkFencingToken(resource, fencingToken, context) };
    }),
    forceRelease: unary('ForceRelease', environment, async (request, context) => {
      const { count, freeInMs } = await force.forceRelease(decodeForceRelease(request), context);
      return { releasedCount: count, freeIn: freeInMs > 0 ? encodeDuration(freeInMs) : undefined };
    }),
  };
}
