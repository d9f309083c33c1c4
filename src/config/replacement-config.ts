// The configuration of a process that takes the place of one that has served and ended.

import type { Config } from './config.ts';

/**
 * The same, but that it doesn't believe `redis.bootstrap: new`: it may find a Redis that has just lost its data, beside
 * leases that the processes before it have granted and that are still held. Only those that begin a deployment may
 * believe that there can be none yet.
 */
export function replacementConfig(config: Config): Config {
  return config.redis ? { ...config, redis: { ...config.redis, bootstrap: 'wait' } } : config;
}
