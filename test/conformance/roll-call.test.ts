// Runs the suite of roll calls on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { rollCallSuite } from './roll-call.suite.ts';

onBothStores(rollCallSuite, { rollCall: true });
