// A watchdog for the command of `run` and `elect`: a shell that outlives this process if it is killed with SIGKILL, and
// then ends the command and what the command has started. Nothing would renew their lease any more, and somebody else
// could have the resource while they still run. How a lost lease ends a command is in guarded-command.ts.
//
// The kernel's own way, PR_SET_PDEATHSIG, would not do: it reaches the command only and not what the command has
// started, and a command that is told to end in this way is never killed.

import { spawn } from 'node:child_process';
import type { ProcessId } from './process-tree.ts';

export interface Watchdog {
  /** From now on, the command has this long between SIGTERM and SIGKILL if this process dies. */
  watch(command: ProcessId, graceMs: number): void;
  /** Call it when the command has ended. */
  end(): void;
}

// It is in a session of its own, because Ctrl-C and the SIGKILL of a supervisor to the whole group must not end it.
// Its input ends when this process does, however that ends. A process counts as the same one if it has started at the
// same time, and a zombie has ended. Without /proc (macOS), it knows only the command itself.
const SCRIPT = `
trap '' HUP INT QUIT TERM
pid= started= grace=
while read -r number since seconds; do pid=$number started=$since grace=$seconds; done
start_of() {
  [ -r /proc/self/stat ] || { echo -; return; }
  stat=$(cat "/proc/$1/stat") || return
  set -- \${stat##*) }
  [ "$1" != Z ] && echo "\${20}"
}
tree() {
  since=$(start_of "$1") && echo "$1:$since"
  for child in $(cat /proc/"$1"/task/*/children); do tree "$child"; done
}
living() {
  for one in "$@"; do [ "$(start_of "\${one%:*}")" = "\${one#*:}" ] && echo "\${one%:*}"; done
}
[ -n "$pid" ] && [ "$(start_of "$pid")" = "$started" ] || exit
told=$(tree "$pid")
kill -TERM $(living $told)
while [ "$grace" -gt 0 ]; do
  [ -n "$(living $told)" ] || exit
  sleep 1
  grace=$((grace - 1))
done
# Stopped first, from the top: a running process could start another one between the look and the kill.
stopped=
for round in 1 2; do
  found=$(for one in $(living $told); do tree "$one"; done)
  kill -STOP $(living $found)
  stopped="$stopped $found"
done
kill -KILL $(living $stopped)
`;

/** Watches nothing where there is no shell, such as in an image without one. */
export function startWatchdog(env: Readonly<Record<string, string | undefined>>): Watchdog {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'leasehold-watchdog'], {
    detached: true,
    env: { PATH: env.PATH ?? '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  return {
    watch: ({ pid, startedAt }, graceMs) => {
      shell.stdin.write(`${pid} ${startedAt || '-'} ${Math.floor(graceMs / 1_000)}\n`);
    },
    end: () => void shell.kill('SIGKILL'),
  };
}
