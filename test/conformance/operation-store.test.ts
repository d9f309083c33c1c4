// Runs operation-store.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { operationStoreSuite } from './operation-store.suite.ts';

onBothStores(operationStoreSuite);
