// What a real promtool says of deploy/monitoring: the configuration, the alert rules and their cases, and the syntax of
// each query of the dashboard. What the queries answer is tried by `npm run test:monitoring`.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPrometheus } from '../support/debian-prometheus.ts';
import { dashboardQueries, filledIn, MONITORING } from '../support/monitoring-files.ts';
import { runCommand } from '../support/redis/run-program.ts';

const found = await findPrometheus();

// Skipped where neither the PATH nor Debian's packages have a Prometheus; the title says why.
describe.skipIf('missing' in found)(`promtool${'missing' in found ? `: ${found.missing}` : ''}`, () => {
  const promtool = (args: readonly string[], cwd = MONITORING): Promise<string> => {
    if ('missing' in found) throw new Error(found.missing);
    return runCommand(found.promtool, args, { cwd, env: found.env, timeoutMs: 60_000, withErrors: true });
  };

  test('promtool accepts the configuration of Prometheus and the alert rules', async () => {
    await promtool(['check', 'config', 'prometheus.yml']);
    expect(await promtool(['check', 'rules', 'alerts.yml'])).toMatch(/SUCCESS: \d+ rules found/);
  });

  test('Every alert fires and stays silent where alerts.test.yml says so', async () => {
    expect(await promtool(['test', 'rules', 'alerts.test.yml'])).toContain('SUCCESS');
  });

  test('Every query of the dashboard is PromQL', async () => {
    const rules = dashboardQueries().map(({ expr }, index) => ({
      record: `query_${index}`,
      expr: filledIn(expr, { job: 'leasehold', interval: '1m' }),
    }));
    const folder = await mkdtemp(join(tmpdir(), 'leasehold-promtool-'));
    try {
      await writeFile(
        join(folder, 'queries.yml'),
        JSON.stringify({ groups: [{ name: 'dashboard', rules }] }),
      );
      const said = await promtool(['check', 'rules', 'queries.yml'], folder);
      expect(said).toContain(`SUCCESS: ${rules.length} rules found`);
      rules.push({ record: 'query_broken', expr: 'sum by (job leasehold_ready' });
      await writeFile(
        join(folder, 'queries.yml'),
        JSON.stringify({ groups: [{ name: 'dashboard', rules }] }),
      );
      await expect(promtool(['check', 'rules', 'queries.yml'], folder)).rejects.toThrow('parse expression');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
