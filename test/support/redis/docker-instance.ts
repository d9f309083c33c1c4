// A redis-server in a container on the host's network, through the docker command. Owns the container and its volume.
// The data live in an anonymous volume and not in a folder of ours: no question of who may write there or remove it.
import type { DockerRuntime } from './find-redis.ts';
import { guardFromOrphaning, releaseFromGuard } from './orphan-guard.ts';
import type { InstanceSpec, RedisInstance, Signal } from './redis-instance.ts';
import { runCommand } from './run-command.ts';

const TIMEOUT_MS = 60_000;

// The configuration is written once: what Redis and Sentinel rewrote survives a restart of the container.
const ENTRY =
  '[ -f /data/node.conf ] || printf %s "$NODE_CONFIG" >/data/node.conf; exec redis-server /data/node.conf "$@"';

export class DockerInstance implements RedisInstance {
  readonly #runtime: DockerRuntime;
  readonly #spec: InstanceSpec;
  readonly #container: string;
  #isCreated = false;

  constructor(runtime: DockerRuntime, spec: InstanceSpec) {
    this.#runtime = runtime;
    this.#spec = spec;
    this.#container = `leasehold-test-${process.pid}-${spec.name}`;
  }

  async start(): Promise<void> {
    if (this.#isCreated) {
      await docker('start', this.#container);
      return;
    }
    guardFromOrphaning('container', this.#container);
    this.#isCreated = true;
    const options = [
      '--detach',
      '--name',
      this.#container,
      '--network',
      'host',
      '--volume',
      '/data',
      '--workdir',
      '/data',
    ];
    const config = ['--env', `NODE_CONFIG=${this.#spec.config}`, '--entrypoint', 'sh'];
    const mode = this.#spec.isSentinel ? ['--sentinel'] : [];
    await docker('run', ...options, ...config, this.#runtime.image, '-c', ENTRY, 'redis', ...mode);
  }

  async isRunning(): Promise<boolean> {
    if (!this.#isCreated) return false;
    return (await docker('inspect', '--format', '{{.State.Running}}', this.#container)).trim() === 'true';
  }

  async signal(signal: Signal): Promise<void> {
    if (await this.isRunning()) await docker('kill', '--signal', signal, this.#container);
  }

  async ended(): Promise<void> {
    if (this.#isCreated) await docker('wait', this.#container);
  }

  async wipe(): Promise<void> {
    const remove = 'find /data -mindepth 1 -maxdepth 1 ! -name node.conf -exec rm -rf {} +';
    const volumes = ['--rm', '--volumes-from', this.#container, '--entrypoint', 'sh'];
    await docker('run', ...volumes, this.#runtime.image, '-c', remove);
  }

  async log(): Promise<string> {
    if (!this.#isCreated) return '';
    return runCommand('docker', ['logs', this.#container], { timeoutMs: TIMEOUT_MS, withErrors: true });
  }

  async dispose(): Promise<void> {
    if (!this.#isCreated) return;
    await docker('rm', '--force', '--volumes', this.#container);
    this.#isCreated = false;
    releaseFromGuard('container', this.#container);
  }
}

function docker(...args: readonly string[]): Promise<string> {
  return runCommand('docker', args, { timeoutMs: TIMEOUT_MS });
}
