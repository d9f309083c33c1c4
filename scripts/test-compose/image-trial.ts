// Tries the image alone: builds it from the Dockerfile, runs it without any configuration, and with every kind of
// configuration. Owns the containers that it starts for that.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually.ts';
import { freePort } from '../../test/support/ports.ts';
import { TestClient } from '../../test/support/test-instance.ts';
import { type Deployment, PROJECT, SENTINELS } from './deployment.ts';
import { docker } from './engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILD_MS = 600_000;
const SERVES_WITHIN_MS = 20_000;

/** Returns its size in megabytes, as the engine counts them. */
export async function buildImage(image: string): Promise<number> {
  // The build uses the host's network, so that it reaches the package registry the way the host does.
  await docker(['build', '--quiet', '--network', 'host', '--tag', image, ROOT], BUILD_MS);
  return imageMegabytes(image);
}

export async function imageMegabytes(image: string): Promise<number> {
  return Math.round(Number(await docker(['image', 'inspect', '--format', '{{.Size}}', image])) / 1e6);
}

export interface BareRun {
  readonly servesAfterMs: number;
  readonly healthyAfterMs: number;
  readonly stopsAfterMs: number;
}

/** Without configuration, the image serves the embedded store, reports its health, and ends in order. */
export async function runBare(image: string): Promise<BareRun> {
  const port = await freePort();
  const client = new TestClient({ host: '127.0.0.1', port });
  const startMs = performance.now();
  const container = await docker(['run', '--detach', '--publish', `127.0.0.1:${port}:50051`, image]);
  try {
    await eventually(() => client.getServerInfo(), { what: 'a server', withinMs: SERVES_WITHIN_MS });
    const servesAfterMs = performance.now() - startMs;
    const { lease } = await client.acquire({ resource: 'bare' });
    assert.ok(lease, 'the embedded store grants');
    await eventually(
      async () =>
        (await docker(['inspect', '--format', '{{.State.Health.Status}}', container])) === 'healthy',
      { what: 'a healthy container', withinMs: 40_000, everyMs: 250 },
    );
    const healthyAfterMs = performance.now() - startMs;
    const stopMs = performance.now();
    await docker(['stop', '-t', '20', container]);
    const stopsAfterMs = performance.now() - stopMs;
    assert.equal(await docker(['inspect', '--format', '{{.State.ExitCode}}', container]), '0', 'exit code');
    return { servesAfterMs, healthyAfterMs, stopsAfterMs };
  } finally {
    client.close();
    await docker(['rm', '--force', container]);
  }
}

/** Adds a third instance to the deployment, with a mounted file, a secret in a file, and the environment on top. */
export async function runConfigured(deployment: Deployment): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-compose-'));
  let container: string | undefined;
  try {
    const [config, secret] = [join(folder, 'leasehold.yaml'), join(folder, 'redis-password')];
    await writeFile(secret, `${deployment.password}\n`);
    await writeFile(
      config,
      `redis:
  failover_cluster: true
  master_name: mymaster
  address: [${SENTINELS.map((name) => `"${name}:26379"`).join(', ')}]
  password_file: /run/secrets/redis-password
log:
  level: error
`,
    );
    // The image's user isn't ours.
    for (const path of [folder, config, secret]) await chmod(path, 0o755);
    container = await docker([
      ...['run', '--detach', '--network', `${PROJECT}_redis`, '--read-only', '--cap-drop', 'ALL'],
      ...[
        '--volume',
        `${config}:/etc/leasehold.yaml:ro`,
        '--volume',
        `${secret}:/run/secrets/redis-password:ro`,
      ],
      ...['--env', 'LEASEHOLD_CONFIG=/etc/leasehold.yaml', '--env', 'LEASEHOLD_LOG_LEVEL=info'],
      deployment.image,
    ]);
    const ready = 'fetch("http://127.0.0.1:9464/readyz").then((r) => process.exit(r.ok ? 0 : 1))';
    const target = container;
    await eventually(() => docker(['exec', target, 'node', '-e', ready]), {
      what: 'a third instance that is ready',
      withinMs: SERVES_WITHIN_MS,
      everyMs: 250,
    });
    assert.match(await docker(['logs', container]), /"msg":"serving"/, 'the environment wins over the file');
  } finally {
    if (container !== undefined) await docker(['rm', '--force', container]);
    await rm(folder, { recursive: true, force: true });
  }
}
