// How long the certificates are still valid.

import { error, type Judgement, ok, warning } from '../examination.ts';
import type { Check, Examined } from '../facts.ts';
import { spanText } from './node-judgements.ts';

const DAY_MS = 86_400_000;
const SOON_MS = 30 * DAY_MS;
const VERY_SOON_MS = 7 * DAY_MS;

export const CERTIFICATE_CHECKS: readonly Check[] = [
  {
    name: 'certificates',
    about:
      'The certificates in the files, and those that Redis and the Sentinels present, are valid for another 30 days.',
    judge: certificates,
  },
];

function certificates({ facts }: Examined): readonly Judgement[] {
  return facts.certificates.map(({ subject, what, expiresAtMs }): Judgement => {
    if ('unseen' in expiresAtMs) {
      return warning(subject, {
        seen: `${what}: ${expiresAtMs.unseen}`,
        why: 'connections by it fail, and how long it is valid is unknown',
        fix: subject.includes('_file')
          ? `look at the file of ${subject}`
          : `openssl s_client -connect ${subject}`,
      });
    }
    const leftMs = expiresAtMs.seen - facts.nowMs;
    const day = new Date(expiresAtMs.seen).toISOString().slice(0, 10);
    if (leftMs > SOON_MS) return ok(subject, `${what} expires on ${day}`);
    const told = {
      seen: leftMs > 0 ? `${what} expires in ${spanText(leftMs)}, on ${day}` : `${what} expired on ${day}`,
      why: 'from then on, connections by it fail',
      fix: subject.includes('_file')
        ? `put a new one into the file of ${subject}: it is read again without a restart`
        : 'renew the certificate of that node, then CONFIG SET tls-cert-file there to the same path, so that it is read again',
    };
    return leftMs > VERY_SOON_MS ? warning(subject, told) : error(subject, told);
  });
}
