// What most teams write by hand, directly from the client to Redis: SET NX PX, and a script that compares and deletes.
// It has no queue and no tokens, and allows two holders after a failover.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { type LockPeer, resourceOf } from './lock-peer.ts';

const TTL_MS = '20000';
const COMPARE_AND_DELETE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

export async function setNx(address: string): Promise<LockPeer> {
  const redis = new Redis({ ...parseHostPort(address, 1), protocol: 2 });
  const sha = String(await redis.script('LOAD', COMPARE_AND_DELETE));
  return {
    async caller(index) {
      const resource = resourceOf(index);
      let id = '';
      return {
        async acquire() {
          id = randomUUID();
          if ((await redis.set(resource, id, 'PX', TTL_MS, 'NX')) !== 'OK')
            throw new Error('the lock is taken');
        },
        async release() {
          if ((await redis.evalsha(sha, 1, resource, id)) !== 1) throw new Error('the lock was lost');
        },
      };
    },
    close: () => redis.disconnect(),
  };
}
