// `npm run test:tools`: stock tools that find the contract through reflection alone, against a real server. Owns which
// tools, at which versions, and what each must show. Exit codes: 0 all passed, 1 something failed.
//
// grpcurl comes from the Go module proxy into .cache; where Go isn't installed, its part is left out, and that is said.
// buf curl comes with the development dependencies.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { formatHostPort } from '../src/domain/host-port.ts';
import { ServerProcess } from '../test/support/server-process.ts';

const ROOT = join(import.meta.dirname, '..');
const GOBIN = join(ROOT, '.cache/tools-go');
const GRPCURL = 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4';
const BUF = join(ROOT, 'node_modules/.bin/buf');
const SPEC = { resource: 'orders', leaseId: '9d3c5a10-6e1f-4f0e-8a56-0d1a4a7c2b11', ttl: '30s' };

interface Trial {
  readonly tool: 'grpcurl' | 'buf';
  readonly says: string;
  readonly args: (address: string) => readonly string[];
  readonly shows: readonly RegExp[];
}

const grpcurl = (says: string, args: readonly string[], ...shows: RegExp[]): Trial => ({
  tool: 'grpcurl',
  says: `grpcurl ${says}`,
  // The flags come before the address, what is asked for after it.
  args: (address) => {
    const flags = args[0]?.startsWith('-') ? 2 : 0;
    return ['-plaintext', ...args.slice(0, flags), address, ...args.slice(flags)];
  },
  shows,
});

const TRIALS: readonly Trial[] = [
  grpcurl(
    'lists the services',
    ['list'],
    /^google\.longrunning\.Operations$/m,
    /^grpc\.health\.v1\.Health$/m,
    /^grpc\.reflection\.v1\.ServerReflection$/m,
    /^leasehold\.v1\.LockService$/m,
    /^leasehold\.v1\.OperationStoreService$/m,
  ),
  grpcurl(
    'describes a message',
    ['describe', 'leasehold.v1.LeaseSpec'],
    /\.google\.protobuf\.Duration ttl = /,
  ),
  grpcurl('describes an error detail', ['describe', 'leasehold.v1.Contention'], /message Contention/),
  grpcurl(
    'acquires a lock',
    ['-d', JSON.stringify({ spec: SPEC }), 'leasehold.v1.LockService/Acquire'],
    /"fencingToken": "\d+"/,
  ),
  grpcurl('lists operations', ['google.longrunning.Operations/ListOperations'], /^\{/),
  grpcurl('asks for health', ['grpc.health.v1.Health/Check'], /"status": "SERVING"/),
  {
    tool: 'buf',
    says: 'buf curl calls a method',
    args: (address) => [
      'curl',
      '--http2-prior-knowledge',
      '--protocol',
      'grpc',
      `http://${address}/leasehold.v1.LockService/GetServerInfo`,
    ],
    shows: [/"version":/],
  },
];

function run(command: string, args: readonly string[], environment = {}): { said: string; ok: boolean } {
  const env = { ...process.env, ...environment };
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env,
    timeout: 600_000,
  });
  return { said: error ? error.message : stdout + stderr, ok: status === 0 };
}

function grpcurlMissing(): string | undefined {
  const go = run('go', ['version']);
  if (!go.ok) return `Go is not installed (${go.said.trim()})`;
  const installed = run('go', ['install', GRPCURL], { GOBIN });
  if (!installed.ok) throw new Error(`go install ${GRPCURL}: ${installed.said}`);
  return undefined;
}

const missing = grpcurlMissing();
const server = await ServerProcess.start({ environment: { LEASEHOLD_SERVER_REFLECTION: 'true' } });
const counts = { passed: 0, failed: 0, skipped: 0 };
try {
  for (const { tool, says, args, shows } of TRIALS) {
    if (tool === 'grpcurl' && missing !== undefined) {
      counts.skipped += 1;
      console.log(`left out  ${says}: ${missing}`);
      continue;
    }
    const command = tool === 'grpcurl' ? join(GOBIN, 'grpcurl') : BUF;
    const { said, ok } = run(command, args(formatHostPort(server.address)));
    const passed = ok && shows.every((pattern) => pattern.test(said));
    counts[passed ? 'passed' : 'failed'] += 1;
    console.log(`${passed ? 'ok      ' : 'FAILED  '}  ${says}${passed ? '' : `:\n${said}`}`);
  }
} finally {
  await server.kill();
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
