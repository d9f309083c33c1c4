// The configuration while it is put together: what the file, the environment and the options gave, the values that
// passed their own checks, and the problems so far. Rules between keys report here. A rule is skipped when a key that
// it needs has a problem of its own: its verdict would be about a default that nobody chose.
import type { ConfigProblem } from './config-error.ts';
import type { SettingKey, SettingValues } from './settings.ts';

/** What was given for one key, before any check by the schema of its setting. */
export interface GivenValue {
  readonly value: unknown;
  /** For messages: `leasehold.yaml:7`, or the name of the variable or the option. */
  readonly source: string;
  readonly from: 'file' | 'environment' | 'option';
}

export interface GivenValues {
  readonly values: ReadonlyMap<SettingKey, GivenValue>;
  /** The sections that the file has, empty ones included, with their source: `tls: {}` is not the same as no `tls`. */
  readonly sections: ReadonlyMap<string, string>;
  readonly problems: readonly ConfigProblem[];
}

export interface DraftInput {
  readonly values: SettingValues;
  readonly given: ReadonlyMap<SettingKey, GivenValue>;
  readonly sections: ReadonlyMap<string, string>;
  readonly refused: ReadonlySet<SettingKey>;
  readonly problems: readonly ConfigProblem[];
  readonly file: string | undefined;
  readonly workingDirectory: string;
}

export class Draft {
  readonly values: SettingValues;
  /** What paths in variables are relative to. */
  readonly workingDirectory: string;
  readonly file: string | undefined;
  readonly problems: ConfigProblem[];
  readonly #given: ReadonlyMap<SettingKey, GivenValue>;
  readonly #sections: ReadonlyMap<string, string>;
  readonly #refused: ReadonlySet<SettingKey>;

  constructor(input: DraftInput) {
    this.values = input.values;
    this.workingDirectory = input.workingDirectory;
    this.file = input.file;
    this.problems = [...input.problems];
    this.#given = input.given;
    this.#sections = input.sections;
    this.#refused = input.refused;
  }

  /** Whether the key was given anywhere, even with a value that was refused. */
  isGiven(key: SettingKey): boolean {
    return this.#given.has(key);
  }

  givenFrom(key: SettingKey): GivenValue['from'] | undefined {
    return this.#given.get(key)?.from;
  }

  /** Whether the file has the section, or any of its keys was given anywhere. */
  hasSection(section: string): boolean {
    if (this.#sections.has(section)) return true;
    return [...this.#given.keys()].some((key) => key.startsWith(`${section}.`));
  }

  /** @param needs the other keys whose values the rule looked at. */
  complain(key: SettingKey, message: string, needs: readonly SettingKey[] = []): void {
    if ([key, ...needs].some((needed) => this.#refused.has(needed))) return;
    // "required" says nothing new about a key that was given and could not be read.
    if (this.problems.some((problem) => problem.key === key)) return;
    this.problems.push({ key, message, source: this.#sourceOf(key) });
  }

  /** Adds several complaints about what one key names. */
  complainOfEach(key: SettingKey, messages: readonly string[]): void {
    const [first = '', ...others] = messages;
    const known = this.problems.length;
    this.complain(key, first);
    if (this.problems.length === known) return;
    const source = this.#sourceOf(key);
    this.problems.push(...others.map((message) => ({ key, message, source })));
  }

  #sourceOf(key: SettingKey): string {
    const given = this.#given.get(key);
    if (given !== undefined) return given.source;
    // A missing key is reported where its section begins.
    const section = key.slice(0, key.lastIndexOf('.'));
    return this.#sections.get(section) ?? this.file ?? 'environment';
  }
}
