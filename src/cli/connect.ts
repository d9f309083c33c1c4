// From the options and variables of a command to a client, and the end of that client: a command leaves no connection
// behind.

import { readFileSync } from 'node:fs';
import { type Client, type ClientOptions, type ClientTls, createClient } from '../client/client.ts';
import { CLIENT_PREFIX, CLIENT_VARIABLES } from '../config/client-environment.ts';
import { closestName } from '../config/closest-name.ts';
import { bearerTokenIn } from '../domain/bearer-token.ts';
import { EXIT, Exit } from './exit.ts';
import type { ConnectionOptions } from './options.ts';
import type { Env } from './program-context.ts';

/** Calls `work` with a client, and closes the client afterwards. */
export async function withClient<Value>(
  options: ConnectionOptions,
  env: Env,
  work: (client: Client) => Promise<Value>,
): Promise<Value> {
  const client = connector(options, env)(options.server);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** For a command that needs several clients, which it closes itself. */
export function connector(
  options: Omit<ConnectionOptions, 'server'>,
  env: Env,
): (servers: readonly string[]) => Client {
  checkVariables(env);
  // Node.js would warn about what a library does, such as TLS to an IP address, and people at a terminal can't help
  // that.
  process.noDeprecation = true;
  const tls = tlsOf(options, env);
  const token = tokenOf(options, env);
  return (servers) =>
    createClient({
      addresses: servers,
      ...(tls === undefined ? {} : { tls }),
      ...(token === undefined ? {} : { token }),
    });
}

// Without this, a misspelt variable would be ignored silently.
function checkVariables(env: Env): void {
  const known: readonly string[] = Object.values(CLIENT_VARIABLES);
  const unknown = Object.keys(env).find((name) => name.startsWith(CLIENT_PREFIX) && !known.includes(name));
  if (unknown === undefined) return;
  const near = closestName(unknown, known);
  const hint = near === undefined ? `The known ones are ${known.join(', ')}.` : `Did you mean ${near}?`;
  throw new Exit(EXIT.usage, `${unknown}: unknown environment variable. ${hint}`);
}

function tlsOf(options: Omit<ConnectionOptions, 'server'>, env: Env): ClientTls | boolean | undefined {
  const { tls, tlsCa, tlsCert, tlsKey, tlsServerName: serverName } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const [given, missing] =
      tlsCert === undefined ? ['--tls-key', '--tls-cert'] : ['--tls-cert', '--tls-key'];
    throw new Exit(EXIT.usage, `${given} needs ${missing}, too: a certificate and its key belong together.`);
  }
  const wanted = tls ?? wantsTls(env);
  const isGiven = [tlsCa, tlsCert, serverName].some((value) => value !== undefined);
  if (!isGiven) return wanted;
  const pem = (flag: string, file: string | undefined) => (file === undefined ? undefined : read(flag, file));
  return {
    ca: pem('--tls-ca', tlsCa),
    cert: pem('--tls-cert', tlsCert),
    key: pem('--tls-key', tlsKey),
    serverName,
  };
}

function wantsTls(env: Env): boolean | undefined {
  const text = env[CLIENT_VARIABLES.tls];
  if (text === undefined || text === '') return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new Exit(EXIT.usage, `${CLIENT_VARIABLES.tls}: "${text}" is neither true nor false.`);
}

// The file is read before each call, so that the token can be replaced while a command runs under a lease.
function tokenOf({ tokenFile }: Pick<ConnectionOptions, 'tokenFile'>, env: Env): ClientOptions['token'] {
  if (tokenFile === undefined) return tokenInVariable(env[CLIENT_VARIABLES.token]);
  let last = tokenIn(tokenFile);
  return () => {
    try {
      last = tokenIn(tokenFile);
    } catch {
      // The file is being replaced right now: the last token will do until the next call.
    }
    return last;
  };
}

function tokenInVariable(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  const token = bearerTokenIn(text);
  if (token !== undefined) return token;
  // Never the text itself: it may be a token with one wrong character.
  throw new Exit(EXIT.usage, `${CLIENT_VARIABLES.token} does not hold a token. Put the token alone into it.`);
}

function tokenIn(file: string): string {
  // What has no folder in it may be the token itself, which must not be printed.
  const shown = /[/\\]/.test(file) ? file : 'the file';
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
    throw new Exit(EXIT.usage, `--token-file: ${shown} cannot be read${code}. Give the path of a file.`);
  }
  const token = bearerTokenIn(text);
  if (token !== undefined) return token;
  throw new Exit(EXIT.usage, `--token-file: ${shown} does not contain a token. Put the token alone into it.`);
}

function read(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Exit(EXIT.usage, `${flag}: ${why}.`);
  }
}
