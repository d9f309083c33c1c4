// Who may call: the rules between the keys of the `auth` section. The tokens are read here to find mistakes before
// anything starts, and again by who uses them, because the file may change while the server runs.
import type { AuthConfig } from './config.ts';
import type { Draft } from './draft.ts';
import { locateFile } from './resolve-files.ts';
import { readTokensFile } from './tokens-file.ts';

export function resolveAuth(draft: Draft): AuthConfig {
  const anonymousAdmin = draft.values['auth.anonymous_admin'];
  const tokensFile = locateFile(draft, 'auth.tokens_file');
  if (tokensFile === undefined) return { tokensFile, anonymousAdmin };
  if (anonymousAdmin) {
    const message = 'true beside auth.tokens_file, which leaves nobody anonymous; keep one of the two';
    draft.complain('auth.anonymous_admin', message, ['auth.tokens_file']);
  }
  const file = readTokensFile(tokensFile);
  if (file.kind === 'refused') draft.complainOfEach('auth.tokens_file', file.problems);
  return { tokensFile, anonymousAdmin };
}
