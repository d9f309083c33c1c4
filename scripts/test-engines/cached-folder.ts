// A folder of programs that is made once and kept in the cache.
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes `folder` unless it is there. `fill` gets another folder, which takes its place when it is complete. */
export async function cachedFolder(folder: string, fill: (scratch: string) => Promise<void>): Promise<void> {
  try {
    await access(folder);
    return;
  } catch {
    // The first time.
  }
  const cache = dirname(folder);
  await mkdir(cache, { recursive: true });
  // It gets its name when it is complete, so that an end in the middle leaves nothing that looks complete.
  const scratch = await mkdtemp(join(cache, 'unpacking-'));
  try {
    await fill(scratch);
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
