// Leasehold, or a server with the same two calls, called with prepared frames, or with a grpc-js client as users have
// it, which needs some twenty times the CPU.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import {
  AcquireRequest,
  LockServiceClient,
  LockServiceService,
  ReleaseRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { CallFrames } from '../loads/call-frames.ts';
import { FrameClient } from '../loads/frame-client.ts';
import { promised } from '../loads/promised.ts';
import { type LockPeer, resourceOf } from './lock-peer.ts';

const { acquire: acquireMethod, release: releaseMethod } = LockServiceService;

export async function leaseholdByFrames(address: string, connections = 1): Promise<LockPeer> {
  const clients = await Promise.all(Array.from({ length: connections }, () => FrameClient.connect(address)));
  return {
    async caller(index) {
      const client = clients[index % connections];
      if (!client) throw new Error('no connections');
      const [resource, leaseId] = [resourceOf(index), randomUUID()];
      const acquire = new CallFrames(
        address,
        acquireMethod.path,
        AcquireRequest.encode(acquireRequest(resource, leaseId)).finish(),
      );
      const release = new CallFrames(
        address,
        releaseMethod.path,
        ReleaseRequest.encode({ resource, leaseId }).finish(),
      );
      const [inAcquire, inRelease] = [acquire.placeOf(leaseId), release.placeOf(leaseId)];
      return {
        acquire() {
          const id = randomUUID();
          acquire.patch(inAcquire, id);
          release.patch(inRelease, id);
          return client.call(acquire);
        },
        release: () => client.call(release),
      };
    },
    close: () => {
      for (const client of clients) client.close();
    },
  };
}

export async function leaseholdByGrpcJs(address: string): Promise<LockPeer> {
  const client = new LockServiceClient(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  return {
    async caller(index) {
      const resource = resourceOf(index);
      let leaseId = '';
      return {
        acquire() {
          leaseId = randomUUID();
          return promised((done) => client.acquire(acquireRequest(resource, leaseId), done));
        },
        release: () => promised((done) => client.release({ resource, leaseId }, done)),
      };
    },
    close: () => client.close(),
  };
}

function acquireRequest(resource: string, leaseId: string): AcquireRequest {
  return AcquireRequest.fromPartial({ spec: { resource, leaseId, owner: 'bench' } });
}
