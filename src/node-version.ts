// The Node.js that this package needs. It runs on much older ones, to tell their users: so it imports nothing, and uses
// nothing that is newer than modules are.

/** As in package.json, "engines". */
export const NODE_NEEDED = '22.12';

/** What to tell users, after a name, if this version ("20.20.2") is too old; undefined if it is new enough. */
export function nodeVersionProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorNeeded = 0, minorNeeded = 0] = NODE_NEEDED.split('.').map(Number);
  if (major > majorNeeded || (major === majorNeeded && minor >= minorNeeded)) return undefined;
  return `needs Node.js ${NODE_NEEDED} or newer, and this is ${version}. Put a newer one first on your PATH.`;
}
