// Runs lock-store.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { lockStoreSuite } from './lock-store.suite.ts';

onBothStores(lockStoreSuite);
