// etcd's lock service, v3lockpb.Lock on its gRPC port, called with the same frames as Leasehold. Each caller has a
// lease of its own, granted once, like a process that uses etcd; a cycle is Lock and Unlock. Owns the few fields of
// etcd's messages that this needs.
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { CallFrames } from '../loads/call-frames.ts';
import { FrameClient } from '../loads/frame-client.ts';
import { type LockPeer, resourceOf } from './lock-peer.ts';

const GRANT = '/etcdserverpb.Lease/LeaseGrant';
const LOCK = '/v3lockpb.Lock/Lock';
const UNLOCK = '/v3lockpb.Lock/Unlock';
/** Longer than a round, so that no renewals are needed. */
const TTL_S = 60;
const WIRE_BYTES = 2;

export async function etcdLocks(address: string): Promise<LockPeer> {
  const client = await FrameClient.connect(address);
  return {
    async caller(index) {
      // LeaseGrantRequest { int64 TTL = 1 }, LeaseGrantResponse { int64 ID = 2 }
      const grant = new BinaryWriter().uint32(tag(1)).int64(TTL_S).finish();
      const granted = await client.call(new CallFrames(address, GRANT, grant));
      const lease = field(granted, 2, (reader) => reader.int64());
      // LockRequest { bytes name = 1; int64 lease = 2 }, LockResponse { bytes key = 2 }
      const name = new BinaryWriter()
        .uint32(tag(1, WIRE_BYTES))
        .string(resourceOf(index))
        .uint32(tag(2))
        .int64(lease);
      const lock = new CallFrames(address, LOCK, name.finish());
      let key: Uint8Array = new Uint8Array();
      return {
        async acquire() {
          key = field(await client.call(lock), 2, (reader) => reader.bytes());
        },
        release() {
          // UnlockRequest { bytes key = 1 }
          const request = new BinaryWriter().uint32(tag(1, WIRE_BYTES)).bytes(key);
          return client.call(new CallFrames(address, UNLOCK, request.finish()));
        },
      };
    },
    close: () => client.close(),
  };
}

function tag(number: number, wireType = 0): number {
  return (number << 3) | wireType;
}

function field<Value>(message: Uint8Array, number: number, read: (reader: BinaryReader) => Value): Value {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [found, wireType] = reader.tag();
    if (found === number) return read(reader);
    reader.skip(wireType);
  }
  throw new Error(`etcd's answer has no field ${number}`);
}
