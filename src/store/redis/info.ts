// Reads what Redis says of itself: INFO texts and flat name-value replies. Owns their forms, not what follows from
// them.

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

export function parseNodeInfo(info: string): NodeInfo {
  const fields = new Map<string, string>();
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
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
