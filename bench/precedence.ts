// Lets processes run before all others of this machine: a pause of Redis is then what Redis does, as on a machine of
// its own, and not for how long the benchmark's clients and servers keep it from a processor. Owns how that is asked
// for: by Linux's chrt, as root on most machines.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findRedis } from '../test/support/redis/find-redis.ts';
import type { RedisProcess } from '../test/support/redis/redis-process.ts';

/** The lowest of the real-time priorities, of which the others have none. */
const PRIORITY = '1';

const run = promisify(execFile);

let isRefused = false;

/** If it is refused, a line says so once: what is measured then includes the pauses of a busy machine. */
export async function givePrecedence(
  redis: readonly RedisProcess[],
  pids: readonly (number | undefined)[],
): Promise<void> {
  if (isRefused) return;
  try {
    if ((await findRedis()).mode === 'docker') throw new Error('Redis runs in containers');
    const infos = await Promise.all(redis.map((each) => each.info('server')));
    for (const pid of [...infos.map((info) => info.get('process_id')), ...pids]) {
      await run('chrt', ['--all-tasks', '--reset-on-fork', '--fifo', '--pid', PRIORITY, String(pid)]);
    }
  } catch (error) {
    isRefused = true;
    const [reason] = String(error).split('\n');
    console.log(`  the pauses of Redis include those of this machine, since it has no precedence: ${reason}`);
  }
}
