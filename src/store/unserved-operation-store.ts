// The operations of a store that keeps none: every question is refused, nothing is ever heard.

import { CoordinationError } from '../domain/errors.ts';
import type { OperationStore } from './operation-store.ts';

export class UnservedOperationStore implements OperationStore {
  readonly begin = refuse;
  readonly claim = refuse;
  readonly update = refuse;
  readonly heartbeat = refuse;
  readonly complete = refuse;
  readonly yield = refuse;
  readonly cancel = refuse;
  readonly retry = refuse;
  readonly delete = refuse;
  readonly getMany = refuse;
  readonly list = refuse;

  watchChanges(): () => void {
    return () => {};
  }

  onAttemptNotice(): () => void {
    return () => {};
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new CoordinationError('NOT_IMPLEMENTED', 'this server does not serve operations'));
}
