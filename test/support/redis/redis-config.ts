// The configuration text of the Redis nodes and Sentinels that tests run. Owns the settings that they all share: those
// of a deployment as we recommend it, without pauses that only cost a test time.

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RedisAuth {
  /** An ACL user; the default user is then switched off. Without it, this is the password of the default user. */
  readonly username?: string;
  readonly password: string;
}

export interface ServerConfigOptions {
  readonly auth?: RedisAuth;
  /** An append-only file, fsynced every second. Off when not given: a restart then starts empty. */
  readonly appendonly?: boolean;
  /** Snapshot points as in the configuration file, such as "900 1". None when not given. */
  readonly save?: string;
  readonly replicaOf?: Address;
  /** The address that others are told, when it isn't the one that it listens on. */
  readonly announce?: Address;
  /** The loopback address from which its own connections (replication) leave. Linux only. */
  readonly sourceAddress?: string;
  /** More lines, which win over those above. */
  readonly directives?: readonly string[];
}

export interface MonitoredDeployment {
  readonly masterName: string;
  readonly primary: Address;
  readonly replicas: readonly Address[];
  readonly redisAuth?: RedisAuth;
  readonly quorum: number;
  readonly downAfterMs: number;
  readonly failoverTimeoutMs: number;
}

export interface SentinelIdentity {
  /** 40 hexadecimal digits, what SENTINEL MYID answers. */
  readonly id: string;
  readonly address: Address;
}

export interface SentinelConfigOptions {
  readonly self: SentinelIdentity;
  readonly others: readonly SentinelIdentity[];
  readonly auth?: RedisAuth;
  readonly sourceAddress?: string;
  readonly deployment: MonitoredDeployment;
}

export function serverConfig(listen: Address, options: ServerConfigOptions): string {
  const {
    auth,
    appendonly = false,
    save = '""',
    replicaOf,
    announce,
    sourceAddress,
    directives = [],
  } = options;
  return text(
    ...listenLines(listen, sourceAddress),
    `save ${save}`,
    `appendonly ${appendonly ? 'yes' : 'no'}`,
    'appendfsync everysec',
    'maxmemory-policy noeviction',
    'repl-backlog-ttl 0',
    'min-replicas-to-write 0',
    // Without a file in between and without waiting for further replicas, a sync takes milliseconds.
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
    'enable-debug-command local',
    ...authLines(auth),
    auth && `masterauth ${auth.password}`,
    auth?.username && `masteruser ${auth.username}`,
    announce && `replica-announce-ip ${announce.host}`,
    announce && `replica-announce-port ${announce.port}`,
    replicaOf && `replicaof ${replicaOf.host} ${replicaOf.port}`,
    ...directives,
  );
}

export function sentinelConfig(listen: Address, options: SentinelConfigOptions): string {
  const { self, others, auth, sourceAddress, deployment } = options;
  const { masterName: name, primary, replicas, redisAuth } = deployment;
  return text(
    ...listenLines(listen, sourceAddress),
    ...authLines(auth),
    auth && `sentinel sentinel-pass ${auth.password}`,
    auth?.username && `sentinel sentinel-user ${auth.username}`,
    `sentinel myid ${self.id}`,
    `sentinel announce-ip ${self.address.host}`,
    `sentinel announce-port ${self.address.port}`,
    `sentinel monitor ${name} ${primary.host} ${primary.port} ${deployment.quorum}`,
    `sentinel down-after-milliseconds ${name} ${deployment.downAfterMs}`,
    `sentinel failover-timeout ${name} ${deployment.failoverTimeoutMs}`,
    `sentinel parallel-syncs ${name} 1`,
    redisAuth && `sentinel auth-pass ${name} ${redisAuth.password}`,
    redisAuth?.username && `sentinel auth-user ${name} ${redisAuth.username}`,
    // What a Sentinel that restarts finds in its file. Otherwise the Sentinels would learn of each other by the
    // greetings that they exchange every two seconds, and every cluster would take that much longer to start.
    ...replicas.map(({ host, port }) => `sentinel known-replica ${name} ${host} ${port}`),
    ...others.map(
      ({ id, address }) => `sentinel known-sentinel ${name} ${address.host} ${address.port} ${id}`,
    ),
  );
}

function listenLines({ host, port }: Address, sourceAddress: string | undefined): (string | undefined)[] {
  const source = sourceAddress && `bind-source-addr ${sourceAddress}`;
  // Protected mode would turn everybody away when no password is set; we only listen on loopback anyway.
  return [`bind ${host}`, source, `port ${port}`, 'protected-mode no', 'logfile ""', 'dir .'];
}

function authLines(auth: RedisAuth | undefined): string[] {
  if (auth === undefined) return [];
  if (auth.username === undefined) return [`requirepass ${auth.password}`];
  return [`user ${auth.username} on >${auth.password} ~* &* +@all`, 'user default off'];
}

function text(...lines: readonly (string | undefined)[]): string {
  return `${lines.filter((line) => line !== undefined && line !== '').join('\n')}\n`;
}
