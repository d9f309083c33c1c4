// Copies .proto files of others from npm packages, with the files that those import. Run it by hand after an update of
// those packages. The copies are committed, so that generating, building and serving need neither the network nor the
// packages. It does not copy google/protobuf, because every protobuf tool brings it along.
//
//   proto/third_party     Google's common APIs, which the contract imports; shipped with it
//   src/transport/proto   the services of gRPC itself that the server serves beside the contract; not shipped
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PACKAGES = join(ROOT, 'node_modules');

interface Copies {
  /** Relative to the root of the repository; everything in it is a copy. */
  readonly target: string;
  /** Which package each wanted path comes from, and the folder in it that stands for the root of such paths. */
  readonly sources: readonly {
    readonly from: string;
    readonly folder: string;
    readonly wanted: readonly string[];
  }[];
  readonly copyright: string;
}

const COPIES: readonly Copies[] = [
  {
    target: 'proto/third_party',
    sources: [
      {
        from: 'google-gax',
        folder: 'build/protos',
        wanted: [
          'google/longrunning/operations.proto',
          'google/rpc/code.proto',
          'google/rpc/error_details.proto',
          'google/rpc/status.proto',
        ],
      },
    ],
    copyright: 'Google LLC',
  },
  {
    target: 'src/transport/proto',
    sources: [
      {
        from: '@grpc/reflection',
        folder: 'build/proto',
        wanted: ['grpc/reflection/v1/reflection.proto', 'grpc/reflection/v1alpha/reflection.proto'],
      },
      { from: 'grpc-health-check', folder: 'proto', wanted: ['health/v1/health.proto'] },
    ],
    copyright: 'the gRPC authors',
  },
];

/** Packages leave the first folder of a path out; this is the path that the file itself names. */
const canonical = (path: string): string => path.replace(/^health\//, 'grpc/health/');

/** The wanted files and everything they import, by path, without google/protobuf. */
async function closure(folder: string, wanted: readonly string[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const pending = [...wanted];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (texts.has(canonical(path)) || path.startsWith('google/protobuf/')) continue;
    const text = await readFile(join(folder, path), 'utf8');
    // Section 4 of the licence requires the notices to stay. A file without one is not ours to pass on.
    if (!text.includes('Licensed under the Apache License, Version 2.0'))
      throw new Error(`${path} doesn't carry the licence that the README.md beside its copy states`);
    texts.set(canonical(path), text);
    for (const [, imported] of text.matchAll(/^import (?:public )?"([^"]+)";/gm)) {
      if (imported !== undefined) pending.push(imported);
    }
  }
  return texts;
}

async function versionOf(name: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(PACKAGES, name, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version);
  throw new Error(`${name} has no version`);
}

for (const { target, sources, copyright } of COPIES) {
  const texts = new Map<string, string>();
  const lists: string[] = [];
  for (const { from, folder, wanted } of sources) {
    const copied = await closure(join(PACKAGES, from, folder), wanted);
    for (const [path, text] of copied) texts.set(path, text);
    const list = [...copied.keys()].sort().map((path) => `- \`${path}\``);
    lists.push(
      `Unchanged copies from the npm package \`${from}\` ${await versionOf(from)}, made by \`scripts/vendor-google-protos.ts\`:\n\n${list.join('\n')}`,
    );
  }
  const readme = `# Files of others

${lists.join('\n\n')}

Copyright ${copyright}, licensed under the Apache License, Version 2.0, as each file says at its top; the text of the
licence is in \`LICENSE\` at the root of this repository. Don't edit them here, run the script.
`;
  await rm(join(ROOT, target), { recursive: true, force: true });
  for (const [path, text] of [...texts, ['README.md', readme] as const]) {
    await mkdir(dirname(join(ROOT, target, path)), { recursive: true });
    await writeFile(join(ROOT, target, path), text);
  }
  console.log(`copied ${texts.size} files to ${target}`);
}
