// What npm runs before it packs this package and after it has fetched it from git: the build. Without it a package
// has no dist/. npm runs it after `npm ci`, too. As JavaScript, because it must tell why it leaves the build out
// where there is neither the compiler nor a Node.js that runs TypeScript.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

if (existsSync(join(ROOT, 'node_modules/typescript')) && existsSync(join(ROOT, 'node_modules/esbuild'))) {
  // The Node.js that npm puts first is the one of node_modules.
  const { status, error } = spawnSync('node', [join(ROOT, 'scripts/build.ts')], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (error) throw error;
  process.exitCode = status ?? 1;
} else {
  console.log('leasehold: dist/ is not built, because the development dependencies are not installed');
}
