// The effective configuration as a line in the log shows it: what is set, without the secrets.

import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { Config } from './config.ts';
import { Secret } from './secret.ts';

export type Description =
  | string
  | number
  | boolean
  | readonly Description[]
  | { readonly [name: string]: Description };

/** Safe to log: a secret shows as `[secret]`. Leaves out what is off or not given, except the kind of store. */
export function describeConfig(config: Config): { readonly [name: string]: Description } {
  const { redis, ...rest } = config;
  return describeFields({ ...rest, redis: redis ?? 'none (embedded in-memory store)' });
}

function describeFields(fields: object): { readonly [name: string]: Description } {
  const described: [string, Description][] = [];
  for (const [name, value] of Object.entries(fields)) {
    const description = describe(value);
    if (description !== undefined) described.push([name, description]);
  }
  return Object.fromEntries(described);
}

function describe(value: unknown): Description | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof Secret) return value.toString();
  if (Array.isArray(value)) return value.map(describe).filter((entry) => entry !== undefined);
  if (typeof value !== 'object') throw new Error(`a configuration cannot hold a ${typeof value}`);
  return isHostPort(value) ? formatHostPort(value) : describeFields(value);
}

function isHostPort(value: object): value is HostPort {
  return (
    'host' in value && 'port' in value && typeof value.host === 'string' && typeof value.port === 'number'
  );
}
