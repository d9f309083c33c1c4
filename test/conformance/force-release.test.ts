// Runs force-release.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { forceReleaseSuite } from './force-release.suite.ts';

onBothStores(forceReleaseSuite);
