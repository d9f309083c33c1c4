// What a reign is called, and why an instance can't join one, in words. Both as adopt-reign.lua has them.

import { SCHEMA_VERSION } from '../../domain/safety.ts';

export function reignOf(configEpoch: string | number, replid: string): string {
  return `${configEpoch}:${replid}:${SCHEMA_VERSION}`;
}

/** `name`: the constant of the deployment that is another one than this instance's. */
export function describeMismatch(name: string, found: string): string {
  if (name === 'schema') {
    return (
      `the keys in Redis have the layout ${found}, and this version of Leasehold needs ${SCHEMA_VERSION}: ` +
      'use the version of the other instances, or another redis.key_prefix (docs/deployment.md, "Upgrading")'
    );
  }
  const value = name === 'max_ttl' ? `${Number(found) / 1_000} ms` : found;
  return `the deployment's ${name} is ${value}, another one than this instance's`;
}
