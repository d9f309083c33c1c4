// What the kernel of this machine is set to, and whether a node runs on this machine: Redis tells neither.

import { readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { fileTrouble } from '../config/config-error.ts';
import { isLoopback } from '../domain/host-port.ts';
import type { HostFacts, Look } from './facts.ts';

const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage/enabled';
const OVERCOMMIT = '/proc/sys/vm/overcommit_memory';

export async function lookAtHost(): Promise<HostFacts> {
  return {
    transparentHugePages: await read(HUGE_PAGES, (text) => /\[(\w+)\]/.exec(text)?.[1] ?? text),
    overcommitMemory: await read(OVERCOMMIT, (text) => text),
  };
}

/** A name other than the machine's own counts as another machine: names are not looked up. */
export function isOnThisHost(host: string): boolean {
  if (isLoopback(host) || host.toLowerCase() === hostname().toLowerCase()) return true;
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host));
}

async function read(path: string, meaning: (text: string) => string): Promise<Look<string>> {
  try {
    return { seen: meaning((await readFile(path, 'utf8')).trim()) };
  } catch (error) {
    return { unseen: `${path}: ${fileTrouble(error)}` };
  }
}
