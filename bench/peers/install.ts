// `npm run bench:peers`: fetches the other products that `peers` and `failover` measure, etcd and node-redlock, into
// the project's cache. It installs nothing in the system, and does nothing for what is there already.
import { cachedEtcd, fetchEtcd } from './etcd-package.ts';
import { installRedlock, REDLOCK_VERSION, redlockEntry } from './redlock-package.ts';

const PEERS = [
  {
    name: 'etcd',
    install: async () => {
      const wasThere = (await cachedEtcd()) !== undefined;
      return { wasThere, version: (await fetchEtcd()).version };
    },
    otherwise: "it is Debian's package etcd-server; elsewhere, put an etcd 3.4 or newer on the PATH",
  },
  {
    name: 'redlock',
    install: async () => {
      const wasThere = redlockEntry() !== undefined;
      await installRedlock();
      return { wasThere, version: REDLOCK_VERSION };
    },
    otherwise: 'it comes from the npm registry; try again where that can be reached',
  },
] as const;

for (const { name, install, otherwise } of PEERS) {
  try {
    const { wasThere, version } = await install();
    console.log(`  ${name} ${version}: ${wasThere ? 'is there already' : 'fetched'}`);
  } catch (error) {
    console.error(`  ${name}: not fetched (${error instanceof Error ? error.message : error}); ${otherwise}`);
    process.exitCode = 1;
  }
}
