// Fails if the contract in proto/ would break clients of the last release, which is the newest tag v* that leads here,
// or of the branch main before the first release. If there is nothing to compare with, it says so and succeeds.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** What git prints, or undefined if it fails. */
function git(...args: string[]): string | undefined {
  const run = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return run.status === 0 ? run.stdout.trim() : undefined;
}

/** What to compare with, as git names it (`ref`) and as buf selects it (`selector`). */
function baseline(): { ref: string; selector: string } | { skipped: string } {
  if (git('rev-parse', '--git-dir') === undefined) return { skipped: 'this is not a git repository' };
  const tag = git('describe', '--tags', '--abbrev=0', '--match', 'v*');
  const found =
    tag !== undefined
      ? { ref: `refs/tags/${tag}`, selector: `tag=${tag}` }
      : { ref: 'refs/heads/main', selector: 'branch=main' };
  if (git('rev-parse', '--verify', '--quiet', `${found.ref}^{commit}`) === undefined) {
    return { skipped: 'there is neither a release tag nor a commit on main yet' };
  }
  if (git('cat-file', '-e', `${found.ref}:buf.yaml`) === undefined)
    return { skipped: `${found.ref} has no contract` };
  return found;
}

const base = baseline();
if ('skipped' in base) {
  console.log(`did not check for breaking changes: ${base.skipped}`);
} else {
  const gitDir = resolve(ROOT, git('rev-parse', '--git-common-dir') ?? '.git');
  const buf = spawnSync(
    join(ROOT, 'node_modules/.bin/buf'),
    ['breaking', '--against', `${gitDir}#format=git,${base.selector}`],
    { cwd: ROOT, stdio: 'inherit' },
  );
  if (buf.error !== undefined) throw buf.error;
  if (buf.status === 0) console.log(`no breaking change against ${base.selector}`);
  process.exitCode = buf.status ?? 1;
}
