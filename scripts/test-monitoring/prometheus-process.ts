// A real Prometheus with the configuration and the rules of deploy/monitoring, which scrapes other targets more often.
// Owns its process and its folder, and asks it queries.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { PrometheusPrograms } from '../../test/support/debian-prometheus.ts';
import { eventually } from '../../test/support/eventually.ts';
import { MONITORING, readMonitoring } from '../../test/support/monitoring-files.ts';
import { freePort } from '../../test/support/ports.ts';
import { guardFromOrphaning, releaseFromGuard } from '../../test/support/redis/orphan-guard.ts';

const ASK_WITHIN_MS = 10_000;

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class PrometheusProcess {
  readonly #url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.#url = url;
    this.#child = child;
    this.#folder = folder;
  }

  /** Returns when it answers. */
  static async start(programs: PrometheusPrograms, targets: readonly string[]): Promise<PrometheusProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'leasehold-prometheus-'));
    const port = await freePort();
    await writeFile(join(folder, 'prometheus.yml'), shippedWith(targets));
    const args = [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const child = spawn(programs.prometheus, args, {
      env: programs.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let printed = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      printed = (printed + chunk.toString()).slice(-2_000);
    });
    child.once('error', (error) => {
      printed += String(error);
    });
    const { pid } = child;
    if (pid !== undefined) {
      guardFromOrphaning('pid', pid);
      child.once('exit', () => releaseFromGuard('pid', pid));
    }
    const started = new PrometheusProcess(`http://127.0.0.1:${port}`, child, folder);
    try {
      await eventually(async () => (await started.#get('/-/ready')).ok, {
        what: 'a Prometheus that is ready',
        withinMs: 30_000,
        everyMs: 100,
      });
    } catch (error) {
      await started.stop();
      throw new Error(`${error instanceof Error ? error.message : error}. It printed:\n${printed}`);
    }
    return started;
  }

  /** What an instant query answers now. Throws what Prometheus says of a wrong one. */
  async query(expr: string): Promise<readonly Series[]> {
    const answer = (await (await this.#get(`/api/v1/query?query=${encodeURIComponent(expr)}`)).json()) as {
      error?: string;
      data?: { result: readonly { metric: Record<string, string>; value: readonly [number, string] }[] };
    };
    if (!answer.data) throw new Error(answer.error ?? 'no data in the answer');
    return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  #get(path: string): Promise<Response> {
    return fetch(this.#url + path, { signal: AbortSignal.timeout(ASK_WITHIN_MS) });
  }
}

/** The shipped configuration, which scrapes these targets each second. */
function shippedWith(targets: readonly string[]): string {
  const shipped = parse(readMonitoring('prometheus.yml')) as {
    global: Record<string, string>;
    rule_files: readonly string[];
    scrape_configs: Record<string, unknown>[];
  };
  return stringify({
    ...shipped,
    global: { ...shipped.global, scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: shipped.rule_files.map((file) => join(MONITORING, file)),
    scrape_configs: shipped.scrape_configs.map((job) => ({ ...job, static_configs: [{ targets }] })),
  });
}
