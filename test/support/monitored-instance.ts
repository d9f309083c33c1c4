// An instance whose monitor polls once a second, and what tests ask of it: its metrics and its log.
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load-config.ts';
import { type Instance, serve } from '../../src/server/instance.ts';
import { eventually } from './eventually.ts';
import { valuesOf } from './exposition.ts';
import { TestClient, testEnvironment } from './test-instance.ts';

export type LogLine = Readonly<Record<string, unknown>>;

export class MonitoredInstance {
  readonly instance: Instance;
  readonly client: TestClient;
  readonly lines: readonly LogLine[];
  #stopped: Promise<void> | undefined;

  private constructor(instance: Instance, lines: readonly LogLine[]) {
    this.instance = instance;
    this.client = new TestClient(instance.address);
    this.lines = lines;
  }

  static async start(overrides: Readonly<Record<string, string>>): Promise<MonitoredInstance> {
    const lines: LogLine[] = [];
    // Our own log.
    const write = (line: string): void => void lines.push(JSON.parse(line) as LogLine);
    const environment = { LEASEHOLD_MONITORING_POLL_INTERVAL: '1s', ...overrides };
    const config = loadConfig({ env: testEnvironment(environment) });
    return new MonitoredInstance(await serve(config, pino({ level: 'info' }, { write })), lines);
  }

  usable(): Promise<boolean> {
    return eventually(() => this.instance.store.status().usable, {
      what: 'a usable store',
      withinMs: 30_000,
    });
  }

  /** The values of the series of this name that have these labels. */
  async values(name: string, labels: Readonly<Record<string, string>> = {}): Promise<readonly number[]> {
    return valuesOf(await this.instance.metricsText(), name, labels);
  }

  /** The value of the one series with this name and these labels. */
  async value(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const values = await this.values(name, labels);
    if (values.length !== 1 || values[0] === undefined) {
      throw new Error(`${values.length} series ${name} ${JSON.stringify(labels)}`);
    }
    return values[0];
  }

  /** Waits until the series have these values, in the order of the scrape. */
  async shows(
    name: string,
    labels: Readonly<Record<string, string>>,
    expected: readonly number[],
    withinMs = 20_000,
  ): Promise<void> {
    const what = `${name} ${JSON.stringify(labels)} = ${expected}`;
    await eventually(
      async () => {
        const values = await this.values(name, labels);
        if (values.join() !== expected.join()) throw new Error(`it is ${values.join() || 'absent'}`);
        return true;
      },
      { what, withinMs },
    );
  }

  /** The lines with this message. */
  logged(message: string): readonly LogLine[] {
    return this.lines.filter(({ msg }) => msg === message);
  }

  stop(): Promise<void> {
    this.client.close();
    this.#stopped ??= this.instance.stop();
    return this.#stopped;
  }
}
