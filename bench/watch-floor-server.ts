// The floor of a watch: a bare grpc-js server that sends each Acquire and Release to all watchers, at once and from its
// own memory. It has no store, no filter, and only an empty snapshot, so it shows what the messages cost by themselves.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { Lock, LockState } from '../generated/leasehold/v1/lock.ts';
import {
  type AcquireRequest,
  AcquireResponse,
  LockServiceService,
  type ReleaseRequest,
  type WatchLocksRequest,
  type WatchLocksResponse,
} from '../generated/leasehold/v1/lock_service.ts';
import { serveBare, type Unary } from './bare-server.ts';

const watchers = new Set<ServerWritableStream<WatchLocksRequest, WatchLocksResponse>>();

function tell(lock: Lock): void {
  const message: WatchLocksResponse = { event: { $case: 'lock', value: lock } };
  for (const watcher of watchers) watcher.write(message);
}

const acquire: Unary<AcquireRequest> = ({ request: { spec } }, callback) => {
  const { resource = '', leaseId = '', owner = '' } = spec ?? {};
  callback(null, AcquireResponse.fromPartial({ lease: { resource, leaseId } }));
  const holder = { owner, leaseIdHash: leaseId.slice(0, 16), fencingToken: 1n };
  tell(Lock.fromPartial({ resource, state: LockState.LOCK_STATE_HELD, holderCount: 1, holders: [holder] }));
};

const release: Unary<ReleaseRequest> = ({ request: { resource } }, callback) => {
  callback(null, { released: true });
  tell(Lock.fromPartial({ resource, state: LockState.LOCK_STATE_FREE }));
};

function watchLocks(stream: ServerWritableStream<WatchLocksRequest, WatchLocksResponse>): void {
  watchers.add(stream);
  stream.once('cancelled', () => watchers.delete(stream));
  stream.write({ event: { $case: 'snapshotComplete', value: {} } });
}

serveBare(
  {
    acquire: LockServiceService.acquire,
    release: LockServiceService.release,
    watchLocks: LockServiceService.watchLocks,
  },
  { acquire, release, watchLocks },
);
