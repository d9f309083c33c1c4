// Loads the configuration: lays the environment over the file and the options of the command line over both, checks
// each value by its schema, then applies the rules between keys. It reads files, but neither the command line nor the
// environment of the process: its caller passes those in.
import { resolve } from 'node:path';
import { type Config, freeze } from './config.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { Draft, type GivenValue } from './draft.ts';
import { CONFIG_FILE_VARIABLE, readEnvironment } from './read-environment.ts';
import { readConfigFile } from './read-file.ts';
import { resolveConfig } from './resolve-config.ts';
import { findSetting, SETTINGS, type SettingKey } from './settings.ts';

/** The options of `leasehold serve`. */
export interface ServeOptions {
  /** The configuration file. */
  readonly config?: string;
  readonly checkConfig?: true;
  /** As the user wrote it: the check is that of the setting it stands for. */
  readonly workers?: string;
}

export interface LoadConfigInput {
  /** The file from the command line. undefined: the file in LEASEHOLD_CONFIG, or no file when that is unset. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Settings from the command line, as the user wrote them; undefined: not given. */
  readonly options?: { readonly workers?: string | undefined };
  /** What paths in `file` and `env` are relative to; the directory of the process by default. */
  readonly workingDirectory?: string | undefined;
}

/**
 * @returns the complete configuration, frozen at every depth.
 * @throws ConfigError with every problem.
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
  // The keys of a file that couldn't be read are not missing, and must not be reported as such.
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
    // A secret and its file are two ways to give one thing, so either in the environment replaces both in the file.
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
  // Without the refused values the rest parses, so that the rules between keys can report in the same run.
  for (const key of refused) delete candidates[key];
  return { values: SETTINGS.parse(candidates), refused, problems };
}
