// LockService over gRPC: each rpc decodes, calls the service's method of the same name, and encodes.

import type { LockServiceServer } from '../../generated/leasehold/v1/lock_service.ts';
import type { LockService } from '../service/lock-service.ts';
import type { ServerInfoService } from '../service/server-info.ts';
import { decodeAcquire, decodeGetLock, decodeRelease, decodeRenew, type TtlBounds } from './decode-lock.ts';
import { encodeLease, encodeLock, encodeServerInfo } from './encode-lock.ts';
import { type CallEnvironment, unary } from './unary.ts';
import { unimplementedStream, unimplementedUnary } from './unimplemented.ts';

export function lockHandlers(
  locks: LockService,
  info: ServerInfoService,
  bounds: TtlBounds,
  environment: CallEnvironment,
): LockServiceServer {
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
    acquireMany: unimplementedUnary('AcquireMany', environment),
    hold: unimplementedStream('Hold', environment),
    keepAlive: unimplementedStream('KeepAlive', environment),
    listLocks: unimplementedUnary('ListLocks', environment),
    watchLocks: unimplementedStream('WatchLocks', environment),
    checkFencingToken: unimplementedUnary('CheckFencingToken', environment),
    forceRelease: unimplementedUnary('ForceRelease', environment),
  };
}
