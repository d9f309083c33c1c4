// Runs inspection.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { inspectionSuite } from './inspection.suite.ts';

onBothStores(inspectionSuite);
