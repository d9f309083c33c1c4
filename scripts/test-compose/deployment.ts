// docker-compose.yml as a project with its own name, ports, network and volumes, so that it doesn't touch a deployment
// that somebody runs from the same file. Owns its start, its end, and the questions to its containers; judges nothing.
import { join } from 'node:path';
import type { HostPort } from '../../src/domain/host-port.ts';
import { freePorts } from '../../test/support/ports.ts';
import { docker, type Engine, linesOf, run } from './engine.ts';

const FILE = join(import.meta.dirname, '../../docker-compose.yml');
export const PROJECT = 'leasehold-test-compose';
const PASSWORD = 'only-for-this-test';
const UP_WITHIN_MS = 180_000;
/** Redis waits up to 10 s for its replicas. */
const STOP_WITHIN_S = 30;

export const REDIS = ['redis-1', 'redis-2', 'redis-3'];
export const SENTINELS = ['sentinel-1', 'sentinel-2', 'sentinel-3'];
export const INSTANCES = ['leasehold-1', 'leasehold-2'];
export const SERVICES = [...REDIS, ...SENTINELS, ...INSTANCES];

export interface ContainerState {
  readonly Status: string;
  readonly ExitCode: number;
  readonly Health?: { readonly Status: string };
}

export class Deployment {
  readonly image: string;
  readonly password = PASSWORD;
  /** Where the instances publish gRPC, in the order of INSTANCES. */
  readonly grpc: readonly HostPort[];
  /** The only ports that the deployment may publish, as "address:port". */
  readonly published: readonly string[];
  readonly #engine: Engine;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(engine: Engine, image: string, ports: readonly number[]) {
    const [grpc1 = 0, grpc2 = 0, admin1 = 0, admin2 = 0] = ports;
    this.image = image;
    this.grpc = [grpc1, grpc2].map((port) => ({ host: '127.0.0.1', port }));
    this.published = ports.map((port) => `127.0.0.1:${port}`);
    this.#engine = engine;
    this.#environment = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('DOCKER_'))),
      LEASEHOLD_IMAGE: image,
      // This sets every variable of the file: a .env file here belongs to somebody's own deployment. An empty value
      // means the file's default.
      LEASEHOLD_REDIS_BOOTSTRAP: '',
      REDIS_PASSWORD: PASSWORD,
      REDIS_NETWORK: `10.214.${process.pid % 256}`,
      GRPC_PORT_1: String(grpc1),
      GRPC_PORT_2: String(grpc2),
      ADMIN_PORT_1: String(admin1),
      ADMIN_PORT_2: String(admin2),
      PROMETHEUS_PORT: '',
      GRAFANA_PORT: '',
      GRAFANA_PASSWORD: '',
    };
  }

  static async prepare(engine: Engine, image: string): Promise<Deployment> {
    return new Deployment(engine, image, await freePorts(4));
  }

  /** Starts whatever doesn't run, and returns when the engine has started everything. */
  async up(): Promise<void> {
    await this.#compose('up', '--detach', '--no-build');
  }

  /** Removes the containers and the networks. The volumes stay. */
  async down(): Promise<void> {
    await this.#compose('down', '--remove-orphans');
  }

  /** Removes everything, even what a killed run has left. Returns what is still there. */
  async remove(): Promise<string[]> {
    await this.#compose('down', '--volumes', '--remove-orphans');
    const ours = ['--filter', `label=com.docker.compose.project=${PROJECT}`, '--quiet'];
    const left = [
      ['ps', '--all'],
      ['volume', 'ls'],
      ['network', 'ls'],
    ].map((list) => docker([...list, ...ours]));
    return (await Promise.all(left)).flatMap(linesOf);
  }

  stop(service: string): Promise<string> {
    return this.#on(service, 'stop', '-t', String(STOP_WITHIN_S));
  }

  start(service: string): Promise<string> {
    return this.#on(service, 'start');
  }

  restart(service: string): Promise<string> {
    return this.#on(service, 'restart', '-t', String(STOP_WITHIN_S));
  }

  async state(service: string): Promise<ContainerState> {
    // The engine writes it; only the fields of the interface are read.
    return JSON.parse(await this.#on(service, 'inspect', '--format', '{{json .State}}')) as ContainerState;
  }

  async isHealthy(service: string): Promise<boolean> {
    return (await this.state(service)).Health?.Status === 'healthy';
  }

  /** The user ids of the service's processes, as the host sees them. */
  async userIds(service: string): Promise<number[]> {
    const [, ...rows] = linesOf(await docker(['top', await this.container(service), '-eo', 'uid,pid,args']));
    return rows.map((row) => Number.parseInt(row, 10));
  }

  /** The ports that the service publishes, as "address:port". */
  async ports(service: string): Promise<string[]> {
    const published = linesOf(await docker(['port', await this.container(service)]));
    return published.map((line) => line.replace(/^.* -> /, ''));
  }

  async exec(service: string, ...command: readonly string[]): Promise<string> {
    return docker(['exec', await this.container(service), ...command]);
  }

  /** The answer of a Redis node, or of a Sentinel, as lines. */
  async ask(service: string, ...command: readonly string[]): Promise<string[]> {
    const port = SENTINELS.includes(service) ? '26379' : '6379';
    return linesOf(await this.exec(service, 'redis-cli', '-p', port, ...command));
  }

  /** The last lines of every service's log, to explain a failure. */
  logs(): Promise<string> {
    return this.#compose('logs', '--no-color', '--tail', '6');
  }

  async container(service: string): Promise<string> {
    const labels = [`project=${PROJECT}`, `service=${service}`].flatMap((label) => [
      '--filter',
      `label=com.docker.compose.${label}`,
    ]);
    const [id] = linesOf(await docker(['ps', '--all', '--quiet', ...labels]));
    if (id === undefined) throw new Error(`${service} has no container`);
    return id;
  }

  async #on(service: string, verb: string, ...options: readonly string[]): Promise<string> {
    return docker([verb, ...options, await this.container(service)]);
  }

  #compose(...args: readonly string[]): Promise<string> {
    const project = ['--project-name', PROJECT, '--file', FILE];
    return run([...this.#engine.compose, ...project, ...args], UP_WITHIN_MS, this.#environment);
  }
}
