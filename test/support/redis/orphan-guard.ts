// Ends what this process has started when this process is gone, whatever ended it: its own end, Ctrl-C, a crash or
// SIGKILL. Owns the list of what is running and the temporary folder; it starts and stops nothing by itself.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// A shell that reads "add pid 7", "drop pid 7" from a pipe. The kernel closes that pipe when we are gone, and then it
// ends what is still on its list. No handler in this process could do that after a SIGKILL. It ignores the signals of
// a Ctrl-C, which reach every process of the terminal.
const SCRIPT = `
trap '' INT TERM HUP
pids= containers=
without() { for each in $1; do [ "$each" = "$2" ] || printf ' %s' "$each"; done; }
while read -r verb kind value; do
  case "$verb $kind" in
    'add pid') pids="$pids $value" ;;
    'drop pid') pids=$(without "$pids" "$value") ;;
    'add container') containers="$containers $value" ;;
    'drop container') containers=$(without "$containers" "$value") ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
[ -z "$containers" ] || docker rm -f -v $containers >/dev/null 2>&1
rm -rf "$1"
`;

type Kind = 'pid' | 'container';

interface Guard {
  readonly folder: string;
  readonly tell: (line: string) => void;
}

let guard: Guard | undefined;

/** A folder for this process's temporary files; it is removed when the process is gone. */
export function temporaryFolder(): string {
  return theGuard().folder;
}

export function guardFromOrphaning(kind: Kind, value: number | string): void {
  theGuard().tell(`add ${kind} ${value}\n`);
}

/** To be called as soon as the process has ended: another process may soon get its id. */
export function releaseFromGuard(kind: Kind, value: number | string): void {
  theGuard().tell(`drop ${kind} ${value}\n`);
}

function theGuard(): Guard {
  guard ??= startGuard();
  return guard;
}

function startGuard(): Guard {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-redis-'));
  const shell = spawn('sh', ['-c', SCRIPT, 'orphan-guard', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  const pipe = shell.stdin;
  // Neither the shell nor the pipe to it may keep this process alive, since the shell waits for its end.
  if (pipe instanceof Socket) pipe.unref();
  pipe.on('error', () => undefined);
  return { folder, tell: (line) => pipe.write(line) };
}
