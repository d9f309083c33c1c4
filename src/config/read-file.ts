// Reads the YAML file into values by key path, each with its line for messages. Owns the form of the file (encoding,
// size, syntax, keys given twice, unknown keys); what a value means is up to its setting.
import { readFileSync, statSync } from 'node:fs';
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { closestName } from './closest-name.ts';
import { type ConfigProblem, fileTrouble } from './config-error.ts';
import type { GivenValue, GivenValues } from './draft.ts';
import { findSetting, isSection, namesIn, SETTING_LIST, type SettingKey } from './settings.ts';

const MAX_FILE_BYTES = 256 * 1024;
// References (`*name`) within one value. A few can be useful; many nested ones expand without bound.
const MAX_ALIASES = 20;
const MAX_SYNTAX_PROBLEMS = 3;
const PLAIN_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const BROKEN = Symbol('a value that could not be built');

// Our own words for broken YAML: the parser's messages quote the text around a mistake, which may be a password.
const QUOTE_HINT = 'put text with special characters in quotes';
const COMPLAINTS: Partial<Record<ErrorCode, string>> = {
  BAD_DQ_ESCAPE: 'unknown escape in double quotes; in single quotes a backslash is plain text',
  BAD_INDENT: 'the indentation does not match the lines above',
  BAD_SCALAR_START: `text cannot start with this character; ${QUOTE_HINT}`,
  KEY_OVER_1024_CHARS: 'a key is too long; perhaps a quote is missing before it',
  MISSING_CHAR: 'a quote, a bracket, a comma, or the space after a colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key spans several lines; perhaps a colon or a quote is missing before it',
  MULTIPLE_DOCS: 'a line with --- begins a second document; expected only one',
  TAB_AS_INDENT: 'indented with a tab; use spaces',
  TAG_RESOLVE_FAILED: `unknown tag (a word after !); ${QUOTE_HINT}`,
};
const BAD_ALIAS_COMPLAINT = `the reference (*) names nothing before it, or refers to too much; ${QUOTE_HINT}`;

/**
 * Never throws for a mistake in the file: mistakes are in `problems`.
 * @param shown the name of the file as the user wrote it, for messages.
 */
export function readConfigFile(shown: string, path: string): GivenValues {
  let bytes: Buffer;
  try {
    // The size comes first, so that a huge file named by mistake isn't read. A pipe's size shows only after reading.
    const isHuge = statSync(path).size > MAX_FILE_BYTES;
    bytes = isHuge ? Buffer.alloc(0) : readFileSync(path);
    if (isHuge || bytes.length > MAX_FILE_BYTES)
      return unusable(shown, `is larger than ${MAX_FILE_BYTES} bytes`);
  } catch (error) {
    return unusable(shown, `cannot be read: ${fileTrouble(error)}`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return unusable(shown, 'is not UTF-8 text');
  }
  // An empty file is far more often a failed mount or copy than an intention, and would mean locks that nobody shares.
  if (text.trim() === '') return unusable(shown, 'is empty; to run on the defaults, name no file');
  return new FileReader(shown, text).read();
}

function unusable(path: string, message: string): GivenValues {
  return { values: new Map(), sections: new Map(), problems: [{ key: '', source: path, message }] };
}

class FileReader {
  readonly #path: string;
  readonly #text: string;
  readonly #lines = new LineCounter();
  readonly #values = new Map<SettingKey, GivenValue>();
  readonly #sections = new Map<string, string>();
  readonly #problems: ConfigProblem[] = [];

  constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  read(): GivenValues {
    const document = this.#parse();
    if (document !== undefined && document.contents !== null) this.#readTop(document, document.contents);
    return { values: this.#values, sections: this.#sections, problems: this.#problems };
  }

  #parse(): Document.Parsed | undefined {
    let document: Document.Parsed;
    try {
      // #readSection finds keys given twice, because it knows their whole path. prettyErrors would quote the file.
      document = parseDocument(this.#text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        uniqueKeys: false,
        logLevel: 'error',
      });
    } catch {
      this.#complain('', this.#path, 'not valid YAML: nested too deeply');
      return undefined;
    }
    // The first mistake turns much of what follows into more of them.
    for (const { code, pos } of [...document.errors, ...document.warnings].slice(0, MAX_SYNTAX_PROBLEMS)) {
      this.#complain('', this.#at(pos[0]), complainAboutYaml(code));
    }
    // Version 1.1 reads `off` as false and 010 as 8; the documentation of the keys means 1.2.
    if (document.directives.yaml.version === '1.1')
      this.#complain('', this.#path, 'is YAML 1.1; expected YAML 1.2');
    return this.#problems.length === 0 ? document : undefined;
  }

  #readTop(document: Document.Parsed, contents: Node): void {
    if (isMap(contents)) this.#readSection(document, contents, '');
    else if (!isScalar(contents) || contents.value !== null) {
      this.#complain('', this.#at(contents.range?.[0]), `expected sections such as "redis:" at the top`);
    }
  }

  #readSection(document: Document.Parsed, section: YAMLMap, path: string): void {
    const seen = new Set<string>();
    for (const pair of section.items) {
      const at = this.#at(startOf(pair.key) ?? startOf(pair.value));
      const name = isScalar(pair.key) ? pair.key.value : undefined;
      // No other key is shown: `{ password:oops }` is a key that holds a password. Nor does a dotted name count as a
      // nested one: the same setting could then be given twice unnoticed.
      if (typeof name !== 'string' || !PLAIN_NAME.test(name)) {
        const hint =
          typeof name === 'string' && findSetting(joinPath(path, name))
            ? ', with nested keys instead of dots'
            : '';
        this.#complain(path, at, `unknown key here; expected a plain name${hint}`);
        continue;
      }
      const child = joinPath(path, name);
      if (seen.has(name)) this.#complain(child, at, 'given more than once');
      else this.#readValue(document, pair.value, child, at);
      seen.add(name);
    }
  }

  #readValue(document: Document.Parsed, given: unknown, path: string, at: string): void {
    const node = isAlias(given) ? given.resolve(document) : given;
    const setting = findSetting(path);
    if (isSection(path) && (isMap(node) || setting === undefined)) {
      if (isMap(node)) {
        this.#sections.set(path, at);
        this.#readSection(document, node, path);
      } else this.#complainAboutSection(path, at, isScalar(node) ? node.value : node);
      return;
    }
    if (setting === undefined) {
      this.#complain(path, at, `unknown key${suggestion(path)}`);
      return;
    }
    const value = this.#plainValue(document, given);
    if (value === null) this.#complain(path, at, 'has no value; give it one or leave the key out');
    else if (value === BROKEN) this.#complain(path, at, BAD_ALIAS_COMPLAINT);
    else this.#values.set(setting.key, { value, source: at, from: 'file' });
  }

  // A top section whose keys are all commented out is harmless, with two exceptions: an empty "redis:" would start a
  // server that shares its locks with nobody, and an empty "tls:" one that speaks plain text.
  #complainAboutSection(path: string, at: string, value: unknown): void {
    const empty = value === null || value === undefined;
    if (empty && path === 'redis') {
      this.#complain(path, at, 'is empty; leave it out to use the embedded in-memory store');
    } else if (!empty || path.includes('.')) {
      this.#complain(
        path,
        at,
        `expected a section with keys such as ${namesIn(path).slice(0, 2).join(', ')}`,
      );
    }
  }

  #plainValue(document: Document.Parsed, given: unknown): unknown {
    if (given === null || given === undefined) return null;
    if (!isNode(given)) return BROKEN;
    try {
      // In maps, unlike in objects, a key named __proto__ is a key like any other.
      return given.toJS(document, { mapAsMap: true, maxAliasCount: MAX_ALIASES });
    } catch {
      return BROKEN;
    }
  }

  #complain(key: string, source: string, message: string): void {
    this.#problems.push({ key, source, message });
  }

  #at(offset: number | undefined): string {
    return offset === undefined ? this.#path : `${this.#path}:${this.#lines.linePos(offset).line}`;
  }
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function joinPath(section: string, name: string): string {
  return section === '' ? name : `${section}.${name}`;
}

function suggestion(path: string): string {
  const section = path.slice(0, Math.max(0, path.lastIndexOf('.')));
  const name = section === '' ? path : path.slice(section.length + 1);
  const sibling = closestName(name, namesIn(section));
  if (sibling !== undefined) return `; did you mean ${joinPath(section, sibling)}?`;
  // The right name in the wrong section, such as max_ttl at the top.
  const elsewhere = SETTING_LIST.find(({ key }) => key.endsWith(`.${name}`));
  return elsewhere === undefined ? '' : `; did you mean ${elsewhere.key}?`;
}

function complainAboutYaml(code: ErrorCode): string {
  return `not valid YAML: ${COMPLAINTS[code] ?? `cannot be parsed here; ${QUOTE_HINT}`}`;
}
