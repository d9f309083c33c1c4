// Copies the .proto files of Google's common APIs that the contract imports, and the files that those import, from the
// npm package google-gax into proto/third_party. Run it by hand after an update of that package. The copies are
// committed, so that generating, building and serving reflection need neither the network nor the package.
// It does not copy google/protobuf, because every protobuf tool brings it along.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const SOURCE = join(ROOT, 'node_modules/google-gax/build/protos');
const TARGET = join(ROOT, 'proto/third_party');

const WANTED = [
  'google/longrunning/operations.proto',
  'google/rpc/code.proto',
  'google/rpc/error_details.proto',
  'google/rpc/status.proto',
];

/** The wanted files and everything they import, by path, without google/protobuf. */
async function closure(wanted: readonly string[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const pending = [...wanted];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (texts.has(path) || path.startsWith('google/protobuf/')) continue;
    const text = await readFile(join(SOURCE, path), 'utf8');
    texts.set(path, text);
    for (const [, imported] of text.matchAll(/^import (?:public )?"([^"]+)";/gm)) {
      if (imported !== undefined) pending.push(imported);
    }
  }
  return texts;
}

async function packageVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(
    await readFile(join(ROOT, 'node_modules/google-gax/package.json'), 'utf8'),
  );
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version);
  throw new Error('google-gax has no version');
}

const texts = await closure(WANTED);
for (const [path, text] of texts) {
  // Section 4 of the licence requires the notices to stay. A file without one is not ours to pass on.
  if (!text.includes('Licensed under the Apache License, Version 2.0')) {
    throw new Error(`${path} doesn't carry the licence that proto/third_party/README.md states`);
  }
}

const readme = `# Files of others

Unchanged copies from the npm package \`google-gax\` ${await packageVersion()}, made by \`scripts/vendor-google-protos.ts\`:

${[...texts.keys()]
  .sort()
  .map((path) => `- \`${path}\``)
  .join('\n')}

Copyright Google LLC, licensed under the Apache License, Version 2.0, as each file says at its top; the text of the
licence is in \`LICENSE\` at the root of this repository. Don't edit them here, run the script.
`;

await rm(TARGET, { recursive: true, force: true });
for (const [path, text] of [...texts, ['README.md', readme] as const]) {
  await mkdir(dirname(join(TARGET, path)), { recursive: true });
  await writeFile(join(TARGET, path), text);
}
console.log(`copied ${texts.size} files to proto/third_party`);
