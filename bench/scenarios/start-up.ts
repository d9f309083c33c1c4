// How long the built program takes from its start until it serves, compared with the bare server.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from '../figures.ts';
import type { Scenario } from '../scenario.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILT = join(ROOT, 'dist/src/main.js');

export const startUp: Scenario = {
  name: 'start-up',
  title: 'From the start of the process until it serves',
  async run(rig, { quick }) {
    await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/build.ts')], { cwd: ROOT });
    const backend = await rig.redis();
    const ours: number[] = [];
    const floor: number[] = [];
    for (let round = 0; round < (quick ? 5 : 15); round++) {
      ours.push(await startsWithin(() => rig.leasehold(backend, {}, [BUILT, 'serve'])));
      floor.push(await startsWithin(() => rig.floor(backend)));
    }
    return [
      {
        name: 'start to serving',
        unit: 'ms',
        value: median(ours),
        floor: median(floor),
        ratio: median(ours.map((ms, round) => ms / (floor[round] ?? Number.NaN))),
        budget: { of: 'value', atMost: 500 },
        steady: 'ratio',
        better: 'less',
      },
    ];
  },
};

async function startsWithin(start: () => Promise<{ stop(): Promise<void> }>): Promise<number> {
  const startedMs = performance.now();
  const server = await start();
  const tookMs = performance.now() - startedMs;
  await server.stop();
  return tookMs;
}
