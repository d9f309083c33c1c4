// The clocks of chaos runs: a Redis that runs sees its wall clock step, and nothing else about it changes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Clocks } from '../chaos/rig/clocks.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'leasehold-clocks-'));
const clocks = await Clocks.build(folder);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Needs a C compiler and a Redis that is not in a container; a chaos run says so, and then steps no clocks.
test.skipIf(clocks.missing !== undefined)(
  'a running Redis sees its clock step forwards and back',
  async () => {
    const [own, other] = [
      await RedisProcess.server({ environment: clocks.environmentOf('own') }),
      await RedisProcess.server({ environment: clocks.environmentOf('other') }),
    ];
    try {
      await Promise.all([own.start(), other.start()]);
      const aheadS = async (redis: RedisProcess): Promise<number> => {
        const [seconds] = await redis.withClient((client) => client.time());
        return Number(seconds) - Date.now() / 1_000;
      };
      expect(Math.abs(await aheadS(own))).toBeLessThan(2);
      await clocks.step(['own'], 60_000);
      expect(Math.abs((await aheadS(own)) - 60)).toBeLessThan(2);
      expect(Math.abs(await aheadS(other))).toBeLessThan(2);
      await clocks.step(['own', 'other'], -90_000);
      expect(Math.abs((await aheadS(own)) + 30)).toBeLessThan(2);
      expect(Math.abs((await aheadS(other)) + 90)).toBeLessThan(2);
      // It goes on after a restart, as the clock of a machine does.
      await own.restart();
      expect(Math.abs((await aheadS(own)) + 30)).toBeLessThan(2);
    } finally {
      await Promise.all([own.stop(), other.stop()]);
    }
  },
);
