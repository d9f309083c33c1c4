// Runs the client commands of the command line for tests, as processes that are gone when the test has finished.
import { onTestFinished } from 'vitest';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { CommandLine } from './command-line.ts';

export interface Ended {
  /** The exit code, or the name of the signal that ended it. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `leasehold` with these arguments, against this server. */
export function leasehold(
  server: HostPort | undefined,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): CommandLine {
  const address = server && { LEASEHOLD_CLIENT_SERVER: formatHostPort(server) };
  const started = CommandLine.start(args, { ...address, ...environment });
  // If it were killed at once, it would leave its command behind, and that command would keep its output open.
  onTestFinished(async () => {
    started.signal('SIGTERM');
    await started.exit(5_000).catch(() => started.signal('SIGKILL'));
  });
  return started;
}

/** Starts it like `leasehold`, and waits until it has ended by itself. */
export async function ended(
  server: HostPort | undefined,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const started = leasehold(server, args, environment);
  const code = await started.exit(30_000);
  return { code, stdout: started.stdout, stderr: started.stderr };
}
