// Reads what Redis says of itself: INFO texts and flat name-value replies. Owns their forms, not what follows from
// them.

import { type HostPort, hostPortFrom } from '../../domain/host-port.ts';

export interface NodeInfo {
  /** `standalone`, `sentinel` or `cluster`. */
  readonly mode: string;
  readonly role: string;
  /** The replication id. Changes at every promotion and start, and when a first replica attaches. */
  readonly replid: string;
  readonly backlogActive: boolean;
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly loading: boolean;
}

/** The lines `name:value` of an INFO text. */
export function infoFields(info: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

/** A replica as its primary knows it. */
export interface AttachedReplica {
  readonly address: HostPort;
  /** What it has acknowledged of the replication stream, in bytes. */
  readonly offset: number;
  /** Seconds since it last acknowledged. */
  readonly lag: number;
}

/** The replicas in the INFO of their primary, without those that announce no address. */
export function attachedReplicas(info: ReadonlyMap<string, string>): readonly AttachedReplica[] {
  const replicas: AttachedReplica[] = [];
  for (const [name, text] of info) {
    if (!/^slave\d+$/.test(name)) continue;
    const parts = new Map(text.split(',').map((part): [string, string] => splitAt(part, '=')));
    const address = hostPortFrom(parts.get('ip'), parts.get('port'));
    if (!address) continue;
    replicas.push({ address, offset: Number(parts.get('offset')), lag: Number(parts.get('lag')) });
  }
  return replicas;
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

export function parseNodeInfo(info: string): NodeInfo {
  const fields = infoFields(info);
  return {
    mode: fields.get('redis_mode') ?? '',
    role: fields.get('role') ?? '',
    replid: fields.get('master_replid') ?? '',
    backlogActive: fields.get('repl_backlog_active') === '1',
    version: fields.get('redis_version') ?? '',
    maxmemoryPolicy: fields.get('maxmemory_policy') ?? '',
    loading: fields.get('loading') === '1',
  };
}

/** A flat list of names and values, as RESP2 replies are. */
export function fieldsOf(reply: unknown): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (Array.isArray(reply)) {
    for (let i = 0; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), String(reply[i + 1]));
  }
  return fields;
}
