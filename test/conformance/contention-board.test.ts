// Runs contention-board.suite.ts on both stores.

import { onBothStores } from '../support/both-stores.ts';
import { contentionBoardSuite } from './contention-board.suite.ts';

onBothStores(contentionBoardSuite);
