// The names under which google.longrunning.Operations serves operations: `resources/{resource}/operations/{id}`. Both
// parts are percent-encoded, so that neither brings a slash of its own into the name.

import type { OperationKey } from '../domain/operation.ts';
import { Violations } from './violations.ts';

export function operationName({ resource, operationId }: OperationKey): string {
  return `${parentName(resource)}/operations/${encodeURIComponent(operationId)}`;
}

function parentName(resource: string): string {
  return `resources/${encodeURIComponent(resource)}`;
}

export function decodeOperationName(name: string): OperationKey {
  const violations = new Violations();
  const [, resource, operationId] = /^resources\/([^/]+)\/operations\/([^/]+)$/.exec(name) ?? [];
  const key = { resource: percentDecoded(resource), operationId: percentDecoded(operationId) };
  if (key.resource === undefined || key.operationId === undefined) {
    violations.note('name', 'must be resources/{resource}/operations/{operation_id}, both percent-encoded');
  } else {
    violations.resource('name', key.resource);
    violations.operationId('name', key.operationId);
  }
  violations.refuse();
  return { resource: key.resource ?? '', operationId: key.operationId ?? '' };
}

/** The resource whose operations are listed; undefined for all. A resource named "-" is written `%2D`. */
export function decodeParentName(violations: Violations, field: string, name: string): string | undefined {
  if (name === '' || name === 'resources/-') return undefined;
  const resource = percentDecoded(/^resources\/([^/]+)$/.exec(name)?.[1]);
  if (resource !== undefined) return violations.resource(field, resource);
  violations.note(field, 'must be resources/{resource}, percent-encoded, or resources/- or empty for all');
  return undefined;
}

function percentDecoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
