// Runs keep-alive.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { keepAliveSuite } from './keep-alive.suite.ts';

onBothStores(keepAliveSuite);
