// What the file and the environment said, before anything is checked against the settings' schemas.
import type { ConfigProblem } from './config-error.ts';
import type { SettingKey } from './settings.ts';

export interface GivenValue {
  readonly value: unknown;
  /** For messages: `leasehold.yaml:7`, or the name of the variable or of the option. */
  readonly source: string;
  readonly from: 'file' | 'environment' | 'option';
}

export interface GivenValues {
  readonly values: ReadonlyMap<SettingKey, GivenValue>;
  /** Sections that were there, even if nothing was in them: `tls: {}` is not the same as no `tls`. */
  readonly sections: ReadonlyMap<string, string>;
  readonly problems: readonly ConfigProblem[];
}
