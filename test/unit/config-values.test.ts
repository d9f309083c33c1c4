// Which values and combinations are refused, and in which words: each problem names its key, where it was given and
// what was expected.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigDirectory } from './config-directory.ts';

const ADDRESS = 'host:port with a port from 1 to 65535, IPv6 in brackets';

let directory: ConfigDirectory;

beforeAll(() => {
  directory = new ConfigDirectory();
  mkdirSync(join(directory.path, 'folder'));
  directory.write('two-lines', 'one\ntwo\n');
  directory.write('empty', '\n');
  directory.write('latin1', Buffer.from([0x70, 0xe4]));
  directory.write('huge', 'x'.repeat(5_000));
  directory.write('pem', 'PEM');
});

afterAll(() => {
  directory.remove();
});

describe('problems', () => {
  test('all problems come at once, each with its key, message and source, on a line of its own', () => {
    directory.write(
      'c.yaml',
      'redis:\n  adress: "r:1"\n  db: -1\nlocks:\n  max_ttl: 20\nlog: { level: loud }\n',
    );
    const error = directory.refusal({
      file: 'c.yaml',
      env: { LEASEHOLD_SERVER_REFLECTION: 'yes', LEASEHOLD_LOG_LEVLE: 'x' },
    });
    expect(error.problems).toContainEqual({
      key: 'redis.db',
      message: 'expected a whole number, 0 or more, got -1',
      source: 'c.yaml:3',
    });
    expect(error.message.split('\n').sort()).toEqual([
      'LEASEHOLD_LOG_LEVLE: unknown environment variable; did you mean LEASEHOLD_LOG_LEVEL?',
      'LEASEHOLD_SERVER_REFLECTION: server.reflection: expected true or false, got "yes"',
      'c.yaml:1: redis.address: required in a redis section; without the section, the store is in memory',
      'c.yaml:2: redis.adress: unknown key; did you mean redis.address?',
      'c.yaml:3: redis.db: expected a whole number, 0 or more, got -1',
      'c.yaml:5: locks.max_ttl: expected a duration with a unit, such as "10m", got the plain number 20',
      'c.yaml:6: log.level: expected trace, debug, info, warn, error or fatal, got "loud"',
    ]);
  });
});

describe('values', () => {
  test.each([
    [
      'locks: { max_ttl: 30 }',
      'locks.max_ttl: expected a duration with a unit, such as "10m", got the plain number 30',
    ],
    [
      'locks: { max_ttl: "30" }',
      'locks.max_ttl: expected a duration with a unit, such as "10m", got the plain number 30',
    ],
    ['locks: { max_ttl: 1s }', 'locks.max_ttl: expected a duration from 2s to 10m, got "1s"'],
    ['locks: { max_ttl: 11m }', 'locks.max_ttl: expected a duration from 2s to 10m, got "11m"'],
    ['locks: { max_ttl: 3 s }', 'locks.max_ttl: expected a duration from 2s to 10m, got "3 s"'],
    ['locks: { max_ttl: [3s] }', 'locks.max_ttl: expected a duration from 2s to 10m, got a list'],
    ['locks: { default_ttl: 500ms }', 'locks.default_ttl: expected a duration from 1s to 10m, got "500ms"'],
    [
      'locks: { default_ttl: 31s }',
      'locks.default_ttl: expected at most locks.max_ttl (30000 ms), got 31000 ms',
    ],
    [
      'server: { max_payload_bytes: 57345 }',
      'server.max_payload_bytes: 57345 needs a server.max_message_bytes of 131074 at least, which is 131072',
    ],
    [
      'server: { max_payload_bytes: 524289, max_message_bytes: 4194304 }',
      'server.max_payload_bytes: expected a whole number from 1024 to 524288, got 524289',
    ],
    [
      'server: { max_message_bytes: 4095 }',
      'server.max_message_bytes: expected a whole number from 4096 to 4194304, got 4095',
    ],
    [
      'server: { max_message_bytes: 4194305 }',
      'server.max_message_bytes: expected a whole number from 4096 to 4194304, got 4194305',
    ],
    [
      'server: { max_concurrent_streams: 1.5 }',
      'server.max_concurrent_streams: expected a whole number from 1 to 1000000, got 1.5',
    ],
    [
      'server: { max_concurrent_streams: "9" }',
      'server.max_concurrent_streams: expected a whole number from 1 to 1000000, got "9"',
    ],
    ['server: { reflection: on }', 'server.reflection: expected true or false, got "on"'],
    [
      'server: { address: 50051 }',
      'server.address: expected host:port with a port from 0 to 65535 (0 = any free port), IPv6 in brackets, got a number',
    ],
    [
      'admin: { address: none }',
      'admin.address: expected off, or host:port with a port from 0 to 65535 (0 = any free port), IPv6 in brackets',
    ],
    [
      'monitoring: { poll_interval: 10 }',
      'monitoring.poll_interval: expected a duration with a unit, such as "10m", got the plain number 10',
    ],
    [
      'monitoring: { poll_interval: never }',
      'monitoring.poll_interval: expected off, or a duration from 1s to 10m, got "never"',
    ],
    ['monitoring: { group_by: "::" }', 'monitoring.group_by: expected one of the characters / : . - _'],
    ['log: { format: }', 'log.format: has no value; give it one or leave the key out'],
  ])('%s is refused', (yaml, expected) => {
    expect(directory.linesFor(yaml)).toEqual([`c.yaml:1: ${expected}`]);
  });

  test.each([
    'r',
    'r:',
    ':1',
    'r:0',
    'r:65536',
    'r:1x',
    'r:-1',
    '::1:6379',
    '[::1]',
    '[r]:1',
    'a b:1',
    '-r:1',
    '1.2.3:4',
    '300.1.1.1:4',
    'r:1:2',
  ])('the address %j is refused', (address) => {
    expect(directory.linesFor(`redis: { address: ["${address}"] }`)).toEqual([
      `c.yaml:1: redis.address[0]: expected ${ADDRESS}`,
    ]);
  });

  test("a message doesn't repeat an address written as a URL, because a password may be in it", () => {
    expect(directory.linesFor('redis: { address: "redis://:hunter2@r:1" }')).toEqual([
      `c.yaml:1: redis.address[0]: expected ${ADDRESS}; write it without a scheme such as redis://`,
    ]);
  });

  test.each([
    ['["a:1", "A:1"]', 1],
    ['["a:1", "b:1", "a.:1"]', 2],
    ['["[::1]:1", "[0:0:0::1]:1"]', 1],
  ])('a list with the same address twice is refused: %s', (list, index) => {
    expect(directory.linesFor(`redis: { failover_cluster: true, master_name: m, address: ${list} }`)).toEqual(
      [`c.yaml:1: redis.address[${index}]: the same address is already in the list`],
    );
  });

  test.each(['[]', '5', '{ a: 1 }'])('a value without an address is refused: %s', (value) => {
    expect(directory.linesFor(`redis: { address: ${value} }`)).toEqual([
      expect.stringMatching(
        /^c\.yaml:1: redis\.address: expected host:port .* or a list of up to 64 of them, got a/,
      ),
    ]);
  });

  test.each([
    ['key_prefix: "a{b"', 'redis.key_prefix: expected 0 to 64 bytes without spaces or braces'],
    ['key_prefix: "a b"', 'redis.key_prefix: expected 0 to 64 bytes without spaces or braces'],
    ['key_prefix: "a\\u0007"', 'redis.key_prefix: expected 0 to 64 bytes without spaces or braces'],
    [`key_prefix: "${'ä'.repeat(33)}"`, 'redis.key_prefix: expected 0 to 64 bytes without spaces or braces'],
    ['db: "0"', 'redis.db: expected a whole number, 0 or more, got "0"'],
    ['command_timeout: 99ms', 'redis.command_timeout: expected a duration from 100ms to 10s, got "99ms"'],
    ['bootstrap: fresh', 'redis.bootstrap: expected wait or new, got "fresh"'],
    ['quarantine: false', 'redis.quarantine: expected on or off, got false'],
    [
      'allow_eviction_policy: noeviction',
      'redis.allow_eviction_policy: expected a maxmemory-policy that evicts, such as allkeys-lru',
    ],
  ])('redis.%s is refused', (entry, expected) => {
    expect(directory.linesFor(`redis: { address: "r:1", ${entry} }`)).toEqual([`c.yaml:1: ${expected}`]);
  });
});

describe('combinations', () => {
  test.each([
    [
      '{ failover_cluster: true, address: ["s:1"] }',
      'redis.master_name: required with failover_cluster: true',
    ],
    ['{ master_name: m, address: "r:1" }', 'redis.master_name: only makes sense with failover_cluster: true'],
    [
      '{ address: "r:1", sentinel_password: x }',
      'redis.sentinel_password: only makes sense with failover_cluster: true',
    ],
    [
      '{ address: "r:1", sentinel_tls: true }',
      'redis.sentinel_tls: only makes sense with failover_cluster: true',
    ],
    [
      '{ address: ["a:1", "b:1"] }',
      'redis.address: expected one address with failover_cluster: false, got 2',
    ],
    ['{ username: u, address: "r:1" }', 'redis.username: needs redis.password or redis.password_file'],
    ['{ address: "r:1", tls: { cert_file: pem } }', 'redis.tls.key_file: required with redis.tls.cert_file'],
    ['{ address: "r:1", tls: { key_file: pem } }', 'redis.tls.cert_file: required with redis.tls.key_file'],
    ['{ db: 1 }', 'redis.address: required in a redis section; without the section, the store is in memory'],
    ['{}', 'redis.address: required in a redis section; without the section, the store is in memory'],
    ['', 'redis: is empty; leave it out to use the embedded in-memory store'],
    ['"r:1"', 'redis: expected a section with keys such as failover_cluster, master_name'],
  ])('redis: %s is refused', (section, expected) => {
    expect(directory.linesFor(`redis: ${section}`)).toEqual([`c.yaml:1: ${expected}`]);
  });

  test('a single variable of the redis section makes the address required', () => {
    expect(directory.refusal({ env: { LEASEHOLD_REDIS_PASSWORD: 'hunter2' } }).message).toBe(
      'environment: redis.address: required in a redis section; without the section, the store is in memory',
    );
  });

  test('more than one server process needs a Redis: in memory, each would have its own locks', () => {
    const refused = '2 server processes need a redis section: in memory, each would have its own locks';
    expect(directory.linesFor('server:\n  workers: 2\n')).toEqual([`c.yaml:2: server.workers: ${refused}`]);
    expect(directory.refusal({ env: { LEASEHOLD_SERVER_WORKERS: '2' } }).message).toBe(
      `LEASEHOLD_SERVER_WORKERS: server.workers: ${refused}`,
    );
    expect(directory.load('server: { workers: 1 }').server.workers).toBe(1);
    expect(directory.load('server: { workers: 2 }\nredis: { address: "r:1" }').server.workers).toBe(2);
  });

  test('TLS details beside a false switch in the same source are refused', () => {
    const env = { LEASEHOLD_REDIS_TLS_CA_FILE: 'pem' };
    const expected = ['LEASEHOLD_REDIS_TLS_CA_FILE: redis.tls.ca_file: given although redis.tls is false'];
    expect(directory.linesFor('redis: { address: "r:1", tls: false }', env)).toEqual(expected);
    expect(directory.linesFor('redis: { address: "r:1" }', { ...env, LEASEHOLD_REDIS_TLS: 'false' })).toEqual(
      expected,
    );
  });

  test('an empty TLS section is refused: it must not mean plain text', () => {
    expect(directory.linesFor('server:\n  tls: {}')).toEqual([
      'c.yaml:2: server.tls.cert_file: required for TLS',
      'c.yaml:2: server.tls.key_file: required for TLS',
    ]);
    expect(directory.linesFor('server:\n  tls:')).toEqual([
      'c.yaml:2: server.tls: expected a section with keys such as cert_file, key_file',
    ]);
  });

  test('a value that was refused is not compared with others', () => {
    expect(directory.linesFor('locks: { max_ttl: soon, default_ttl: 60s }')).toEqual([
      'c.yaml:1: locks.max_ttl: expected a duration from 2s to 10m, got "soon"',
    ]);
    expect(
      directory.linesFor('redis: { failover_cluster: maybe, master_name: m, address: ["a:1", "b:1"] }'),
    ).toEqual(['c.yaml:1: redis.failover_cluster: expected true or false, got "maybe"']);
  });
});

describe('a file that the configuration names', () => {
  test('a TLS file that cannot be read is refused', () => {
    expect(directory.linesFor('server:\n  tls:\n    cert_file: nope.pem\n    key_file: folder\n')).toEqual([
      `c.yaml:3: server.tls.cert_file: cannot read ${join(directory.path, 'nope.pem')}: there is no such file`,
      `c.yaml:4: server.tls.key_file: cannot read ${join(directory.path, 'folder')}: it is a directory`,
    ]);
  });

  test.each([
    ['hunter2', 'cannot read the file: there is no such file'],
    ['folder', 'cannot read the file: it is a directory'],
    ['two-lines', 'the file has more than one line'],
    ['empty', 'the file is empty'],
    ['latin1', 'the file is not UTF-8 text'],
    ['huge', 'the file is larger than 4096 bytes'],
  ])('the secret file %s is refused', (name, expected) => {
    expect(directory.linesFor(`redis: { address: "r:1", password_file: ${name} }`)).toEqual([
      `c.yaml:1: redis.password_file: ${expected}`,
    ]);
    expect(
      directory.refusal({ env: { LEASEHOLD_REDIS_ADDRESS: 'r:1', LEASEHOLD_REDIS_PASSWORD_FILE: name } })
        .message,
    ).toBe(`LEASEHOLD_REDIS_PASSWORD_FILE: redis.password_file: ${expected}`);
  });

  test('a secret together with its file is refused', () => {
    expect(directory.linesFor('redis: { address: "r:1", password: a, password_file: two-lines }')).toEqual([
      'c.yaml:1: redis.password_file: given together with redis.password; keep one of the two',
    ]);
    const env = { LEASEHOLD_REDIS_PASSWORD: 'hunter2', LEASEHOLD_REDIS_PASSWORD_FILE: 'two-lines' };
    expect(directory.linesFor('redis: { address: "r:1" }', env)).toEqual([
      'LEASEHOLD_REDIS_PASSWORD_FILE: redis.password_file: given together with redis.password; keep one of the two',
    ]);
  });
});
