// What RedisProcess needs from what runs a redis-server: a process of this machine or a container.

export type Signal = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT';

export interface RedisInstance {
  /** Starts it on its configuration and data. Returns as soon as it runs, before it answers. */
  start(): Promise<void>;
  isRunning(): Promise<boolean>;
  signal(signal: Signal): Promise<void>;
  /** Resolves once it has ended; at once when it isn't running. */
  ended(): Promise<void>;
  /** Removes the data and keeps the configuration. Only while it isn't running. */
  wipe(): Promise<void>;
  /** Copies the data on its disk as they are now, aside; an earlier copy goes. Throws where it is in a container. */
  keepData(): Promise<void>;
  /** Puts the copy in the place of its data. Only while it isn't running. */
  restoreData(): Promise<void>;
  log(): Promise<string>;
  /** Ends it at once and removes all its files. */
  dispose(): Promise<void>;
}

export interface InstanceSpec {
  readonly name: string;
  /**
   * The whole text of the configuration file. Redis and Sentinel rewrite the file, and a restart reads what they wrote.
   */
  readonly config: string;
  readonly isSentinel: boolean;
  /** More environment variables. Only processes of this machine get them; a container does not. */
  readonly environment: Readonly<Record<string, string>>;
}
