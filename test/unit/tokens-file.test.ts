// The file of tokens: what it accepts, and that complaints name the line and never show its text.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTokensFile } from '../../src/config/tokens-file.ts';
import { tokenDigest } from '../../src/domain/caller.ts';
import { ConfigDirectory } from './config-directory.ts';

const TOKEN = 'Zq3-_9~!tT5.xX8/';
const OTHER = 'aB4+cD6=eF8#gH1@';

let directory: ConfigDirectory;

beforeEach(() => {
  directory = new ConfigDirectory();
});
afterEach(() => {
  directory.remove();
});

function read(content: string | Buffer) {
  return readTokensFile(directory.write('tokens', content));
}

/** The problems, with FILE for the path. */
function problems(content: string | Buffer): string[] {
  const file = read(content);
  if (file.kind !== 'refused') throw new Error('the file was accepted');
  return file.problems.map((problem) => problem.replace(directory.path, '').replace('/tokens', 'FILE'));
}

describe('a tokens file without mistakes', () => {
  test('a tokens file has one credential a line, and may have comments, empty lines, tabs and line ends of all kinds', () => {
    const file = read(
      `# who may call\r\n\n  billing\tclient   ${TOKEN}\r\n#x client y\nops@host admin ${OTHER}`,
    );
    expect(file).toEqual({
      kind: 'read',
      credentials: new Map([
        [tokenDigest(TOKEN), { name: 'billing', role: 'client' }],
        [tokenDigest(OTHER), { name: 'ops@host', role: 'admin' }],
      ]),
    });
  });

  test('a tokens file may hold several tokens of one name, even with different roles', () => {
    const file = read(`ops client ${TOKEN}\nops admin ${OTHER}\n`);
    expect(file.kind === 'read' && [...file.credentials.values()]).toEqual([
      { name: 'ops', role: 'client' },
      { name: 'ops', role: 'admin' },
    ]);
  });

  test('a tokens file has at most 1,000 lines', () => {
    const lines = Array.from({ length: 1_000 }, (_, index) => `n${index} client ${TOKEN}${index}\n`).join('');
    expect(read(lines)).toMatchObject({ kind: 'read' });
    expect(problems(`${lines}#\n`)).toEqual(['FILE: has more than 1000 lines']);
  });
});

describe('a mistake in a tokens file', () => {
  test.each([
    ['a line of two words', `billing ${TOKEN}`, 'expected three words, name role token, got 2'],
    [
      'a line of four words',
      `billing client ${TOKEN} ${OTHER}`,
      'expected three words, name role token, got 4',
    ],
    ['a bad name', `bil:ling client ${TOKEN}`, 'expected a name of 1 to 64 characters from A-Za-z0-9._@/-'],
    [
      'a long name',
      `${'n'.repeat(65)} client ${TOKEN}`,
      'expected a name of 1 to 64 characters from A-Za-z0-9._@/-',
    ],
    ['an unknown role', `billing ${TOKEN} client`, 'expected the role client or admin as the second word'],
    ['a role in capitals', `billing Admin ${TOKEN}`, 'expected the role client or admin as the second word'],
    [
      'a short token',
      `billing client ${TOKEN.slice(1)}`,
      'expected a token of 16 to 512 printable ASCII characters',
    ],
    [
      'a long token',
      `billing client ${'x'.repeat(513)}`,
      'expected a token of 16 to 512 printable ASCII characters',
    ],
    [
      'a token that is not ASCII',
      `billing client ${TOKEN}é`,
      'expected a token of 16 to 512 printable ASCII characters',
    ],
    [
      'a token with a control character',
      `billing client ${TOKEN}\x07`,
      'expected a token of 16 to 512 printable ASCII characters',
    ],
  ])('%s is reported with file and line, and its text is not shown', (_what, line, complaint) => {
    const [problem = '', ...others] = problems(`# first\nops admin ${OTHER}\n${line}\n`);
    expect([problem, others]).toEqual([`FILE:3: ${complaint}`, []]);
    expect(problem).not.toContain(TOKEN.slice(1));
  });

  test('every mistake is reported, and so is a token that appears twice', () => {
    expect(problems(`a client ${TOKEN}\nb admin\nc admin ${TOKEN}\n`)).toEqual([
      'FILE:2: expected three words, name role token, got 2',
      'FILE:3: the same token as on line 1',
    ]);
  });

  test('a tokens file without a credential is refused: a failed copy looks like that', () => {
    expect(problems('')).toEqual(['FILE: has no credential; expected name role token on each line']);
    expect(problems('# soon\n')).toEqual(['FILE: has no credential; expected name role token on each line']);
  });

  test('a tokens file that is too large or missing is refused', () => {
    expect(problems(Buffer.alloc(1_048_577, '#'))).toEqual(['FILE: is larger than 1048576 bytes']);
    const missing = readTokensFile(`${directory.path}/${TOKEN}`);
    expect(missing).toEqual({
      kind: 'refused',
      problems: ['cannot read the file: there is no such file'],
    });
  });
});

describe('auth.tokens_file', () => {
  test('the path of the tokens file is relative to the configuration file, and mistakes are reported at the start', () => {
    directory.write('tokens', `ops admin ${TOKEN}\n`);
    expect(directory.load('auth: { tokens_file: tokens }').auth).toEqual({
      tokensFile: `${directory.path}/tokens`,
      anonymousAdmin: false,
    });
    directory.write('tokens', `ops ${TOKEN}\nops root ${OTHER}\n`);
    const lines = directory.linesFor('auth:\n  tokens_file: tokens\n');
    expect(lines.map((line) => line.replaceAll(directory.path, ''))).toEqual([
      'c.yaml:2: auth.tokens_file: /tokens:1: expected three words, name role token, got 2',
      'c.yaml:2: auth.tokens_file: /tokens:2: expected the role client or admin as the second word',
    ]);
    expect(directory.linesFor('auth: { tokens_file: nowhere }')).toEqual([
      'c.yaml:1: auth.tokens_file: cannot read the file: there is no such file',
    ]);
  });

  test('auth.anonymous_admin and a tokens file contradict each other', () => {
    directory.write('tokens', `ops admin ${TOKEN}\n`);
    expect(directory.load('auth: { anonymous_admin: true }').auth.anonymousAdmin).toBe(true);
    expect(
      directory.load('auth: { anonymous_admin: false, tokens_file: tokens }').auth.tokensFile,
    ).toBeDefined();
    expect(directory.linesFor('auth: { anonymous_admin: true, tokens_file: tokens }')).toEqual([
      'c.yaml:1: auth.anonymous_admin: true together with auth.tokens_file, which allows no anonymous caller; keep one of the two',
    ]);
  });
});
