// Prometheus and its promtool: from the PATH, or Debian's package unpacked in the project's cache. Owns where they come
// from; prometheus-process.ts runs one.
import { dirname, join } from 'node:path';
import { type DebianProgram, type Executable, unpacked } from './debian-package.ts';
import { runCommand } from './redis/run-program.ts';

const PACKAGE: DebianProgram = {
  title: 'Prometheus',
  packageName: 'prometheus',
  cacheName: 'prometheus',
  path: 'usr/bin/promtool',
};

export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Both programs, or why they can't be had here. */
export async function findPrometheus(): Promise<PrometheusPrograms | { readonly missing: string }> {
  try {
    return await programs({ executable: 'promtool', env: process.env });
  } catch {
    // Not on the PATH.
  }
  try {
    return await unpacked(PACKAGE, programs);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { missing: `no Prometheus on the PATH, and none of Debian's packages: ${why}` };
  }
}

/** Throws unless both run. */
async function programs({ executable: promtool, env }: Executable): Promise<PrometheusPrograms> {
  const prometheus = promtool === 'promtool' ? 'prometheus' : join(dirname(promtool), 'prometheus');
  const options = { env, timeoutMs: 10_000, withErrors: true };
  await runCommand(promtool, ['--version'], options);
  const said = await runCommand(prometheus, ['--version'], options);
  return { prometheus, promtool, version: /version (\S+)/.exec(said)?.[1] ?? said, env };
}
