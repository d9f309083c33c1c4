// Reads the tokens that the configuration names, at the start and again when asked, and logs what an administrator has
// to know about them. The rules of who can call what are in transport/authorization.ts.

import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { readTokensFile } from '../config/tokens-file.ts';
import type { Credentials } from '../domain/caller.ts';
import { formatHostPort, isLoopback } from '../domain/host-port.ts';
import { Authorization } from '../transport/authorization.ts';

export interface OpenAuthorization {
  readonly authorization: Authorization;
  /** Reads the tokens again. A file with a mistake changes nothing. Undefined if there is no file. */
  readonly reload: (() => void) | undefined;
}

/** Throws if the tokens file can no longer be read, or has a mistake by now. */
export function openAuthorization({ auth, server }: Config, log: Logger): OpenAuthorization {
  const { tokensFile, anonymousAdmin } = auth;
  const authorization = new Authorization({
    credentials: tokensFile === undefined ? undefined : readCredentials(tokensFile),
    anonymousAdmin,
    onDenied: ({ caller, peer, code }) => {
      const facts = { caller: caller?.name ?? '', role: caller?.role ?? '', peer, code };
      log.warn(facts, 'force release denied');
    },
  });
  if (tokensFile === undefined) return { authorization, reload: undefined };
  if (!server.tls && !isLoopback(server.address.host)) {
    const address = formatHostPort(server.address);
    log.warn({ address }, 'tokens cross the network in plain text: set server.tls');
  }
  const reload = (): void => {
    try {
      const credentials = readCredentials(tokensFile);
      authorization.replace(credentials);
      log.info({ tokens: credentials.size }, 'tokens read again');
    } catch (error) {
      const problems = error instanceof Error ? error.message.split('\n') : [];
      log.error({ problems }, 'the tokens file has mistakes; the former tokens stay in force');
    }
  };
  return { authorization, reload };
}

function readCredentials(path: string): Credentials {
  const file = readTokensFile(path);
  if (file.kind === 'refused') throw new Error(file.problems.join('\n'));
  return file.credentials;
}
