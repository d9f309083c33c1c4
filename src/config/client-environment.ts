// The environment variables that the client commands read, and those that `run` and `elect` give to the commands they
// start. No section of the server's configuration has the word that they begin with, so none can be mistaken for a
// setting; a server that finds them in its environment leaves them alone. The client commands load this file, so it
// stays free of the server's settings and their libraries.

export const CLIENT_PREFIX = 'LEASEHOLD_CLIENT_';

export const CLIENT_VARIABLES = {
  server: `${CLIENT_PREFIX}SERVER`,
  tls: `${CLIENT_PREFIX}TLS`,
  tlsCa: `${CLIENT_PREFIX}TLS_CA`,
  tlsCert: `${CLIENT_PREFIX}TLS_CERT`,
  tlsKey: `${CLIENT_PREFIX}TLS_KEY`,
  tlsServerName: `${CLIENT_PREFIX}TLS_SERVER_NAME`,
  token: `${CLIENT_PREFIX}TOKEN`,
  tokenFile: `${CLIENT_PREFIX}TOKEN_FILE`,
  timeout: `${CLIENT_PREFIX}TIMEOUT`,
  owner: `${CLIENT_PREFIX}OWNER`,
  leaseId: `${CLIENT_PREFIX}LEASE_ID`,
} as const;

/** What a command that runs under a lease finds in its environment. */
export const GIVEN_TO_COMMANDS = {
  fencingToken: 'LEASEHOLD_FENCING_TOKEN',
  resource: 'LEASEHOLD_RESOURCE',
} as const;

const GIVEN: readonly string[] = Object.values(GIVEN_TO_COMMANDS);

export function isOfClients(name: string): boolean {
  return name.startsWith(CLIENT_PREFIX) || GIVEN.includes(name);
}
