// Runs waiting.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { waitingSuite } from './waiting.suite.ts';

onBothStores(waitingSuite);
