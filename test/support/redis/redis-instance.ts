// What RedisProcess needs from the thing that runs a redis-server: a process of this machine or a container.

export type Signal = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT';

export interface RedisInstance {
  /** Starts it on its configuration and data. Returns as soon as it runs, before it answers. */
  start(): Promise<void>;
  isRunning(): Promise<boolean>;
  signal(signal: Signal): Promise<void>;
  /** Resolves once it has ended; at once when it doesn't run. */
  ended(): Promise<void>;
  /** Removes the data and keeps the configuration. Only while it doesn't run. */
  wipe(): Promise<void>;
  log(): Promise<string>;
  /** Ends it at once and removes everything of it. */
  dispose(): Promise<void>;
}

export interface InstanceSpec {
  readonly name: string;
  /** Whole text of the configuration file. Redis and Sentinel rewrite the file, and a restart reads what they wrote. */
  readonly config: string;
  readonly isSentinel: boolean;
  /** More environment variables. Processes of this machine only: a container has none of them. */
  readonly environment: Readonly<Record<string, string>>;
}
