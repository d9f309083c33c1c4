// The commands in the findings of the doctor, as a shell reads them when somebody pastes them.
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { allowAtRedis, redisCli, sentinelSetting, setting } from '../../src/doctor/redis-cli-text.ts';
import { pastedCommands } from '../support/pasted-commands.ts';

const ADDRESS = { host: '10.0.0.1', port: 6379 };

function redisWith(username: string): NonNullable<ReturnType<typeof loadConfig>['redis']> {
  const { redis } = loadConfig({
    env: {
      LEASEHOLD_REDIS_ADDRESS: '10.0.0.1:6379',
      LEASEHOLD_REDIS_USERNAME: username,
      LEASEHOLD_REDIS_PASSWORD: 'horse',
    },
  });
  if (!redis) throw new Error('there is a redis section');
  return redis;
}

test('A shell reads each word of a command as it is meant, whatever names a user and rights have', () => {
  const redis = redisWith("o'neill&$HOME");
  const rights = ['+config|get', '&leasehold:{0}:*', '~leasehold:{0}:*'];
  expect(pastedCommands(allowAtRedis(redis, ADDRESS, rights, ''))).toEqual([
    { user: 'default', port: 6379, words: ['ACL', 'SETUSER', "o'neill&$HOME", ...rights] },
    { user: 'default', port: 6379, words: ['CONFIG', 'REWRITE'] },
  ]);
  expect(pastedCommands(redisCli(redis, ADDRESS, 'PING'))).toEqual([
    { user: "o'neill&$HOME", port: 6379, words: ['PING'] },
  ]);
});

test('A command that changes a node logs in as the administrator: a least user would be refused', () => {
  const commands = pastedCommands(setting(redisWith('leasehold'), ADDRESS, 'save', '900 1'));
  expect(commands).toEqual([
    { user: 'default', port: 6379, words: ['CONFIG', 'SET', 'save', '900 1'] },
    { user: 'default', port: 6379, words: ['CONFIG', 'REWRITE'] },
  ]);
  const [quorum] = pastedCommands(sentinelSetting(redisWith('leasehold'), [ADDRESS], 'quorum', 2));
  expect(quorum?.user).toBe('default');
});
