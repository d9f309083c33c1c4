// Runs operation-tally.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { operationTallySuite } from './operation-tally.suite.ts';

onBothStores(operationTallySuite);
