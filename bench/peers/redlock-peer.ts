// node-redlock on one Redis, if it is installed (redlock-package.ts). Owns the small part of its interface that is
// needed.
import { Redis } from 'ioredis';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { type LockPeer, resourceOf } from './lock-peer.ts';
import { redlockEntry } from './redlock-package.ts';

interface RedlockModule {
  readonly default: new (
    clients: readonly Redis[],
    settings: { readonly retryCount: number },
  ) => { acquire(resources: string[], ttlMs: number): Promise<{ release(): Promise<unknown> }> };
}

const TTL_MS = 20_000;

export async function redlock(address: string): Promise<LockPeer> {
  const entry = redlockEntry();
  if (entry === undefined) throw new Error('redlock is not installed: npm run bench:peers');
  const { default: Redlock } = (await import(entry)) as RedlockModule; // its declarations say so
  const redis = new Redis({ ...parseHostPort(address, 1), protocol: 2 });
  const locks = new Redlock([redis], { retryCount: 0 });
  return {
    async caller(index) {
      let held: { release(): Promise<unknown> } | undefined;
      return {
        async acquire() {
          held = await locks.acquire([resourceOf(index)], TTL_MS);
        },
        async release() {
          await held?.release();
        },
      };
    },
    close: () => redis.disconnect(),
  };
}
