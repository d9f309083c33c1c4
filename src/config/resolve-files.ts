// Files that the configuration names: where relative paths lead, whether a file can be read, and the secrets in files.
// The server and the connections to Redis read the TLS files; this file only opens them.
import { closeSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileTrouble } from './config-error.ts';
import type { Draft } from './draft.ts';
import { Secret } from './secret.ts';
import { readSecretFile } from './secret-file.ts';
import type { SettingKey, SettingValues } from './settings.ts';

export type TextKey = {
  [K in SettingKey]: SettingValues[K] extends string | undefined ? K : never;
}[SettingKey];

/** @returns the absolute path; undefined when none is given, or after a complaint that the file cannot be read. */
export function resolveFile(draft: Draft, key: TextKey): string | undefined {
  const path = locateFile(draft, key);
  if (path === undefined) return undefined;
  try {
    // Opening is the proof: permission bits tell only half of it. A pipe is not opened, because that would block.
    if (!statSync(path).isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
    closeSync(openSync(path, 'r'));
    return path;
  } catch (error) {
    draft.complain(key, `cannot read ${path}: ${fileTrouble(error)}`);
    return undefined;
  }
}

export interface ResolvedSecret {
  readonly secret: Secret;
  /** Absolute; undefined if the secret was not given in a file. */
  readonly file: string | undefined;
}

/** The secret itself, or the one in the file; undefined when neither is given, or after a complaint. */
export function resolveSecret(draft: Draft, key: TextKey, fileKey: TextKey): ResolvedSecret | undefined {
  if (draft.isGiven(key) && draft.isGiven(fileKey)) {
    draft.complain(fileKey, `given together with ${key}; keep one of the two`);
    return undefined;
  }
  const text = draft.values[key];
  if (text !== undefined) return { secret: new Secret(text), file: undefined };
  const file = locateFile(draft, fileKey);
  if (file === undefined) return undefined;
  const found = readSecretFile(file);
  if ('secret' in found) return { secret: found.secret, file };
  // Doesn't show the path: where a user wrote the password itself in its place, that would print it.
  draft.complain(fileKey, found.problem);
  return undefined;
}

/**
 * The absolute path, whether the file exists or not. Paths in the configuration file are relative to that file, so that
 * it works wherever the server is started.
 */
export function locateFile(draft: Draft, key: TextKey): string | undefined {
  const written = draft.values[key];
  if (written === undefined) return undefined;
  const besideFile = draft.givenFrom(key) === 'file' && draft.file !== undefined;
  const base = besideFile ? resolve(draft.workingDirectory, dirname(draft.file)) : draft.workingDirectory;
  return resolve(base, written);
}
