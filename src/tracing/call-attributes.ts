// What a span says of a request: the resource, the mode. Reads the message as it came, before anything has checked it.

import type { Attributes } from '@opentelemetry/api';
import { LIMITS } from '../domain/limits.ts';
import { nameHash } from './active-tracer.ts';

/** The parts of requests that spans show; no request has all of them. */
interface RequestParts {
  readonly resource?: unknown;
  readonly spec?: SpecParts | undefined;
  readonly specs?: unknown;
  readonly type?: unknown;
}

interface SpecParts {
  readonly resource?: unknown;
  readonly mode?: { readonly $case?: unknown } | undefined;
}

/** `withNames`: the names themselves too, not only their hashes. */
export function requestAttributes(request: unknown, withNames: boolean): Attributes {
  if (typeof request !== 'object' || request === null) return {};
  const { resource, spec, specs, type } = request as RequestParts; // each part is looked at before it is used
  const attributes: Attributes = {};
  const name = spec?.resource ?? resource;
  if (typeof name === 'string' && name !== '') {
    attributes['leasehold.resource.hash'] = nameHash(name);
    if (withNames) attributes['leasehold.resource'] = name.slice(0, LIMITS.resourceBytes);
  }
  if (spec) {
    attributes['leasehold.mode'] = modeOf(spec);
    attributes['leasehold.queued'] = false; // until it is
  }
  if (Array.isArray(specs)) {
    // More of them, and longer names, are refused anyway, but only after this.
    const some = specs.slice(0, LIMITS.acquireMany);
    const names = some.map((each: SpecParts) => String(each.resource ?? ''));
    attributes['leasehold.resource.hashes'] = names.map(nameHash);
    if (withNames)
      attributes['leasehold.resources'] = names.map((each) => each.slice(0, LIMITS.resourceBytes));
  }
  if (withNames && typeof type === 'string' && type !== '') attributes['leasehold.operation.type'] = type;
  return attributes;
}

function modeOf({ mode }: SpecParts): string {
  return typeof mode?.$case === 'string' ? mode.$case : 'exclusive';
}
