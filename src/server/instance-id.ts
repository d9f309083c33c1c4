// The id of an instance, by which the deployment knows it: random, so that no two have the same.

import { randomBytes } from 'node:crypto';

export function newInstanceId(): string {
  return randomBytes(8).toString('hex');
}
