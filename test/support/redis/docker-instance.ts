// A redis-server in a container on the host's network, through testcontainers. Owns the container and its volume. The
// data live in the anonymous volume that Redis's images declare, and not in a folder of ours, so that it doesn't matter
// who can write there or remove it.
import type { ContainerRuntimeClient } from 'testcontainers';
import type { DockerRuntime } from './find-redis.ts';
import { guardFromOrphaning, releaseFromGuard } from './orphan-guard.ts';
import type { InstanceSpec, RedisInstance, Signal } from './redis-instance.ts';

type Container = ReturnType<ContainerRuntimeClient['container']['getById']>;

const DATA = '/data';

// The configuration is written only once, so that what Redis and Sentinel rewrote survives a restart of the container.
const ENTRY = '[ -f node.conf ] || printf %s "$NODE_CONFIG" >node.conf; exec redis-server node.conf "$@"';

export class DockerInstance implements RedisInstance {
  readonly #runtime: DockerRuntime;
  readonly #spec: InstanceSpec;
  readonly #name: string;
  /** Undefined until it is started for the first time, and once it is removed. */
  #container: Container | undefined;

  constructor(runtime: DockerRuntime, spec: InstanceSpec) {
    this.#runtime = runtime;
    this.#spec = spec;
    this.#name = `leasehold-test-${process.pid}-${spec.name}`;
  }

  async start(): Promise<void> {
    if (this.#container !== undefined) {
      await this.#container.start();
      return;
    }
    const { GenericContainer, Wait } = await testcontainers();
    const client = await runtimeClient();
    guardFromOrphaning('container', this.#name);
    // Its name is known before it exists, so that it can be removed even if its start fails half-way.
    this.#container = client.container.getById(this.#name);
    await new GenericContainer(this.#runtime.image)
      .withName(this.#name)
      // Ports, addresses and who can reach whom are then the same as for processes.
      .withNetworkMode('host')
      .withEnvironment({ NODE_CONFIG: this.#spec.config })
      .withWorkingDir(DATA)
      .withEntrypoint(['sh', '-c', ENTRY, 'redis'])
      .withCommand(this.#spec.isSentinel ? ['--sentinel'] : [])
      // No port is mapped, so there is nothing to wait for. The caller that started it sends PING, as it does to a
      // process.
      .withWaitStrategy(Wait.forListeningPorts())
      // Testcontainers would let Ryuk remove it, a container of its own whose image has to be pulled from a registry,
      // and that keeps the engine's socket open. The orphan guard does the same without either.
      .withAutoCleanup(false)
      .start();
  }

  async isRunning(): Promise<boolean> {
    return (await this.#container?.inspect())?.State.Running ?? false;
  }

  async signal(signal: Signal): Promise<void> {
    if (await this.isRunning()) await this.#container?.kill({ signal });
  }

  async ended(): Promise<void> {
    await this.#container?.wait();
  }

  async wipe(): Promise<void> {
    const client = await runtimeClient();
    const remove = `find ${DATA} -mindepth 1 -maxdepth 1 ! -name node.conf -exec rm -rf {} +`;
    const name = `${this.#name}-wipe`;
    guardFromOrphaning('container', name);
    const wiper = await client.container.create({
      name,
      Image: this.#runtime.image,
      Entrypoint: ['sh', '-c', remove],
      HostConfig: { VolumesFrom: [this.#name] },
    });
    try {
      await wiper.start();
      const { StatusCode: status } = await wiper.wait();
      if (status !== 0) throw new Error(`${name} ended with ${status}: ${await logOf(wiper)}`);
    } finally {
      await wiper.remove({ force: true });
      releaseFromGuard('container', name);
    }
  }

  async keepData(): Promise<void> {
    throw new Error(`${this.#name}: the data of a container are out of reach`);
  }

  restoreData(): Promise<void> {
    return this.keepData();
  }

  async log(): Promise<string> {
    return this.#container === undefined ? '' : logOf(this.#container);
  }

  async dispose(): Promise<void> {
    if (this.#container === undefined) return;
    await this.#container.remove({ force: true, v: true });
    this.#container = undefined;
    releaseFromGuard('container', this.#name);
  }
}

/** Loaded only when there is a container to start: most test runs have Redis as processes. */
function testcontainers(): Promise<typeof import('testcontainers')> {
  return import('testcontainers');
}

async function runtimeClient(): Promise<ContainerRuntimeClient> {
  return (await testcontainers()).getContainerRuntimeClient();
}

async function logOf(container: Container): Promise<string> {
  const framed = await container.logs({ stdout: true, stderr: true, follow: false });
  // Each piece of output comes behind 8 bytes: its stream, three zeros, its length.
  let text = '';
  for (let start = 0; start + 8 <= framed.length; ) {
    const end = start + 8 + framed.readUInt32BE(start + 4);
    text += framed.toString('utf8', start + 8, end);
    start = end;
  }
  return text;
}
