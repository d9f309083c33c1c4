// Runs operation-rules.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { operationRulesSuite } from './operation-rules.suite.ts';

onBothStores(operationRulesSuite);
