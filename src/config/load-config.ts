// Loads the configuration: file, then environment on top, then options of the command line; each value is checked by
// its schema, then the rules between keys. Reads files, but neither the command line nor the process's own environment;
// those are handed in.
import { resolve } from 'node:path';
import { type Config, freeze } from './config.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { Draft, type GivenValue } from './draft.ts';
import { CONFIG_FILE_VARIABLE, readEnvironment } from './read-environment.ts';
import { readConfigFile } from './read-file.ts';
import { resolveConfig } from './resolve-config.ts';
import { findSetting, SETTINGS, type SettingKey } from './settings.ts';

/** What the command line of `leasehold serve` says. */
export interface ServeOptions {
  /** The configuration file. */
  readonly config?: string;
  readonly checkConfig?: true;
  /** As it was written: it is checked as the setting that it stands for. */
  readonly workers?: string;
}

export interface LoadConfigInput {
  /** The file named on the command line; without it the one in LEASEHOLD_CONFIG; without that none. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Settings that were given on the command line, as they were written; undefined: not given. */
  readonly options?: { readonly workers?: string | undefined };
  /** What relative paths in `file` and `env` are relative to; the process's own directory if left out. */
  readonly workingDirectory?: string | undefined;
}

/**
 * @returns the complete configuration, frozen through and through.
 * @throws ConfigError with every problem there is.
 */
export function loadConfig(input: LoadConfigInput): Config {
  const workingDirectory = input.workingDirectory ?? process.cwd();
  const file = input.file ?? input.env[CONFIG_FILE_VARIABLE];
  if (file === '') {
    const source = input.file === undefined ? CONFIG_FILE_VARIABLE : '--config';
    throw new ConfigError([{ key: '', source, message: 'is empty; name a file or leave it out' }]);
  }
  const fromEnvironment = readEnvironment(input.env);
  const fromFile = file === undefined ? undefined : readConfigFile(file, resolve(workingDirectory, file));
  const given = new Map([
    ...merge(fromFile?.values ?? new Map(), fromEnvironment.values),
    ...readOptions(input.options ?? {}),
  ]);
  const checked = check(given);
  const draft = new Draft({
    values: checked.values,
    given,
    sections: fromFile?.sections ?? new Map(),
    refused: new Set(checked.refused),
    problems: [...(fromFile?.problems ?? []), ...fromEnvironment.problems, ...checked.problems],
    file,
    workingDirectory,
  });
  // A file that couldn't be read at all would make everything in it look forgotten.
  if (fromFile?.problems.some(({ key }) => key === '')) throw new ConfigError(draft.problems);
  const config = resolveConfig(draft);
  if (draft.problems.length > 0) throw new ConfigError(draft.problems);
  return freeze(config);
}

type Given = ReadonlyMap<SettingKey, GivenValue>;

function readOptions({ workers }: NonNullable<LoadConfigInput['options']>): Given {
  if (workers === undefined) return new Map();
  const value = findSetting('server.workers')?.fromText(workers);
  return new Map([['server.workers', { value, source: '--workers', from: 'option' }]]);
}

function merge(fromFile: Given, fromEnvironment: Given): Given {
  const merged = new Map(fromFile);
  for (const key of fromEnvironment.keys()) {
    // A secret and its file are two ways to say one thing, so either in the environment replaces both in the file.
    for (const same of [key, `${key}_file`, key.replace(/_file$/, '')]) {
      const setting = findSetting(same);
      if (setting !== undefined) merged.delete(setting.key);
    }
  }
  return new Map([...merged, ...fromEnvironment]);
}

function check(given: Given) {
  const problems: ConfigProblem[] = [];
  const refused = new Set<SettingKey>();
  const candidates: Partial<Record<SettingKey, unknown>> = {};
  for (const [key, { value }] of given) candidates[key] = value;
  for (const issue of SETTINGS.safeParse(candidates).error?.issues ?? []) {
    const setting = findSetting(String(issue.path[0]));
    if (setting === undefined) throw new Error('an issue about a key that is not in the table');
    const place = issue.path.slice(1).map((step) => `[${String(step)}]`);
    const source = given.get(setting.key)?.source ?? 'default';
    problems.push({ key: `${setting.key}${place.join('')}`, message: issue.message, source });
    refused.add(setting.key);
  }
  // With the refused values out of the way the rest is complete, so that the rules between keys can be looked at too.
  for (const key of refused) delete candidates[key];
  return { values: SETTINGS.parse(candidates), refused, problems };
}
