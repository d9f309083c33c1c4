// What the loader refuses before it looks at any value: unknown keys and variables, keys given twice, files that aren't
// the YAML they should be. And no mistake brings a secret into a message.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigDirectory } from './config-directory.ts';

const ADDRESS = 'host:port with a port from 1 to 65535, IPv6 in brackets';
const NOT_YAML = 'not valid YAML';

let directory: ConfigDirectory;

beforeAll(() => {
  directory = new ConfigDirectory();
  mkdirSync(join(directory.path, 'folder'));
});

afterAll(() => {
  directory.remove();
});

describe('keys and variables', () => {
  test.each([
    ['redi: {}', 'redi: unknown key; did you mean redis?'],
    [
      'redis: { address: "r:1", masterName: m }',
      'redis.masterName: unknown key; did you mean redis.master_name?',
    ],
    ['redis: { address: "r:1", tls: { ca: pem } }', 'redis.tls.ca: unknown key'],
    [
      'redis: { address: "r:1", tls: { cafile: pem } }',
      'redis.tls.cafile: unknown key; did you mean redis.tls.ca_file?',
    ],
    [
      'server: { max_connections_age: 1h }',
      'server.max_connections_age: unknown key; did you mean server.max_connection_age?',
    ],
    ['max_ttl: 30s', 'max_ttl: unknown key; did you mean locks.max_ttl?'],
    ['zzz: 1', 'zzz: unknown key'],
    ['log: { level: info, level: warn }', 'log.level: given more than once'],
    ['log: { level: info }\nlog: { format: json }', 'log: given more than once', 2],
    ['"log.level": info', 'unknown key here; expected a plain name, with nested keys instead of dots'],
    ['3: x', 'unknown key here; expected a plain name'],
    ['? [a, b]\n: x', 'unknown key here; expected a plain name'],
    ['log: { <<: { level: info } }', 'log: unknown key here; expected a plain name'],
  ])('%s is refused', (yaml, expected, line = 1) => {
    expect(directory.linesFor(yaml)).toEqual([`c.yaml:${line}: ${expected}`]);
  });

  test('a name that means something to JavaScript is a key like any other', () => {
    const yaml =
      '__proto__: { level: fatal }\nconstructor: 1\nlog:\n  __proto__: { level: fatal }\n  toString: 1\n';
    expect(directory.linesFor(yaml)).toEqual([
      'c.yaml:1: __proto__: unknown key',
      'c.yaml:2: constructor: unknown key',
      'c.yaml:4: log.__proto__: unknown key',
      'c.yaml:5: log.toString: unknown key',
    ]);
    expect(directory.linesFor('log: { level: { __proto__: 1 } }')).toEqual([
      'c.yaml:1: log.level: expected trace, debug, info, warn, error or fatal, got a mapping',
    ]);
    expect(Object.hasOwn(Object.prototype, 'level')).toBe(false);
  });

  test.each([
    ['LEASEHOLD_REDIS_PASWORD', '; did you mean LEASEHOLD_REDIS_PASSWORD?'],
    ['LEASEHOLD_REDIS_PORT', ''],
    ['LEASEHOLD_', ''],
  ])('the unknown variable %s is refused', (name, hint) => {
    expect(directory.refusal({ env: { [name]: 'hunter2' } }).message).toBe(
      `${name}: unknown environment variable${hint}`,
    );
  });

  test('a variable that is set but empty counts as given, and is refused', () => {
    const env = { LEASEHOLD_REDIS_ADDRESS: 'r:1', LEASEHOLD_REDIS_PASSWORD: '', LEASEHOLD_REDIS_DB: '' };
    expect(directory.refusal({ env }).message.split('\n').sort()).toEqual([
      'LEASEHOLD_REDIS_DB: redis.db: expected a whole number, 0 or more, got ""',
      'LEASEHOLD_REDIS_PASSWORD: redis.password: expected text of 1 to 1024 characters, in quotes if it is all digits',
    ]);
    expect(directory.refusal({ env: { LEASEHOLD_CONFIG: '' } }).message).toBe(
      'LEASEHOLD_CONFIG: is empty; name a file or leave it out',
    );
  });
});

describe('the file as a whole', () => {
  test.each([
    ['empty', '', 'c.yaml: is empty; to run on the defaults, name no file'],
    ['blank', ' \n\n', 'c.yaml: is empty; to run on the defaults, name no file'],
    ['not UTF-8', Buffer.from([0x6c, 0x3a, 0x20, 0xff]), 'c.yaml: is not UTF-8 text'],
    ['UTF-16', Buffer.from('\ufefflog: {}', 'utf16le'), 'c.yaml: is not UTF-8 text'],
    ['too large', `# ${'x'.repeat(256 * 1024)}`, 'c.yaml: is larger than 262144 bytes'],
    ['a list', '- redis', 'c.yaml:1: expected sections such as "redis:" at the top'],
    ['a text', 'hunter2', 'c.yaml:1: expected sections such as "redis:" at the top'],
    [
      'two documents',
      'log: {}\n---\nlog: {}',
      `c.yaml:2: ${NOT_YAML}: a line with --- begins a second document; expected only one`,
    ],
    ['YAML 1.1', '%YAML 1.1\n---\nlog: {}', 'c.yaml: is YAML 1.1; expected YAML 1.2'],
  ])('a file is refused when it is %s', (_, content, expected) => {
    expect(directory.linesFor(content)).toEqual([expected]);
  });

  test('a file that is missing, or is a directory, cannot be read', () => {
    expect(directory.refusal({ file: 'nope.yaml' }).message).toBe(
      'nope.yaml: cannot be read: there is no such file',
    );
    expect(directory.refusal({ file: 'folder' }).message).toBe('folder: cannot be read: it is a directory');
  });

  test('no key is called missing when the file cannot be read, even beside a wrong variable', () => {
    expect(
      directory.refusal({ file: 'nope.yaml', env: { LEASEHOLD_REDIS_DB: 'x' } }).message.split('\n'),
    ).toEqual([
      'nope.yaml: cannot be read: there is no such file',
      'LEASEHOLD_REDIS_DB: redis.db: expected a whole number, 0 or more, got "x"',
    ]);
  });

  test('a file that nests without end is refused with a few lines', () => {
    const lines = directory.linesFor('['.repeat(100_000));
    expect(lines.length).toBeLessThanOrEqual(3);
    expect(lines[0]).toContain(NOT_YAML);
  });

  test('references that multiply are refused, not expanded', () => {
    const levels = Array.from({ length: 12 }, (_, level) => {
      const inner = level === 0 ? '"x:1"' : `*l${level - 1}`;
      return `l${level}: &l${level} [${Array(10).fill(inner).join(', ')}]`;
    });
    const lines = directory.linesFor(`${levels.join('\n')}\nredis: { address: *l11 }\n`);
    expect(lines.at(-1)).toMatch(
      /^c\.yaml:13: redis\.address: the reference \(\*\) names nothing before it, or/,
    );
  });

  test('references in a circle end', () => {
    expect(directory.linesFor('redis: { address: &a ["r:1", *a] }')).toEqual([
      `c.yaml:1: redis.address[1]: expected ${ADDRESS}, got a list`,
    ]);
    expect(directory.linesFor('redis: &r { address: "r:1", tls: *r }')[0]).toMatch(
      /^c\.yaml:1: redis\.tls\./,
    );
  });

  // Every way to write a password wrongly that makes the YAML itself wrong; the parser would quote the line.
  test.each([
    'password: *hunter2',
    'password: @hunter2',
    'password: !hunter2',
    'password: %hunter2',
    'password: `hunter2`',
    'password: "hunter2',
    "password: 'hunter2",
    'password: [hunter2',
    'password: {hunter2',
    'password:hunter2',
    'password: hunter2: x',
    'password: "hunter2\\q"',
    'password: &a &b hunter2',
    'password: |hunter2',
    '\tpassword: hunter2',
    'password: 0xhunter2 #\n  password: hunter2',
    'password: { hunter2: 1 }',
    'password: 42424242',
    'pasword: hunter2',
    'password: "x"hunter2',
    'hunter2!: 1',
    'password_file: hunter2',
    'address: "hunter2@r:1"',
  ])('a mistake never shows the secret: %j', (entry) => {
    const lines = directory.linesFor(`redis:\n  failover_cluster: false\n  ${entry}\n`);
    expect(lines.filter((line) => /42424242|hunter2/.test(line))).toEqual([]);
  });
});
