// What a shell makes of a text that somebody pastes: the words of each redis-cli in it. A real shell reads it, so that
// a missing quote shows.
import { execFileSync } from 'node:child_process';

export interface PastedCommand {
  /** The user that it logs in as. */
  readonly user: string;
  readonly port: number;
  readonly words: readonly [string, ...string[]];
}

/** Those without a word of their own. */
const FLAGS = ['--askpass', '--tls'];

export function pastedCommands(text: string): readonly PastedCommand[] {
  // Not every shell takes a function whose name has a dash.
  const calling = text.replaceAll(/\bredis-cli\b/g, 'redis_cli');
  const printing = `redis_cli() { printf '%s\\0' "$@"; printf '\\n\\0'; }\n${calling}\n`;
  const output = execFileSync('sh', ['-euc', printing], { encoding: 'utf8' });
  const calls = output.split('\n\0').slice(0, -1);
  return calls.map((call) => commandOf(call.split('\0').slice(0, -1)));
}

function commandOf(words: readonly string[]): PastedCommand {
  const options = new Map<string, string>();
  let at = 0;
  while (words[at]?.startsWith('-')) {
    const name = words[at] ?? '';
    const hasValue = !FLAGS.includes(name);
    options.set(name, hasValue ? (words[at + 1] ?? '') : '');
    at += hasValue ? 2 : 1;
  }
  const [command, ...args] = words.slice(at);
  if (command === undefined) throw new Error(`no command: ${words.join(' ')}`);
  return {
    user: options.get('--user') ?? 'default',
    port: Number(options.get('-p')),
    words: [command, ...args],
  };
}
