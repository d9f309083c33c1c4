// What an examination of a deployment finds, and how bad it is. Types and their order only: the checks are in checks/,
// their list in checks.ts, and examine.ts runs them.

/** From good to bad. An `error` is a reason not to rely on the deployment, and not to rehearse a failover on it. */
export const SEVERITIES = ['ok', 'info', 'warning', 'error'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  /** The name of the check, as in docs/doctor.md. */
  readonly check: string;
  readonly severity: Severity;
  /** What it is about: `host:port` of a node, the key of a setting, or `deployment`. */
  readonly subject: string;
  readonly seen: string;
  /** Why it matters; undefined if it is `ok`. */
  readonly why: string | undefined;
  /** The command or the change that puts it right; undefined if it is `ok`. */
  readonly fix: string | undefined;
}

/** What one check says of one subject; the examination adds the name of the check. */
export type Judgement = Omit<Finding, 'check'>;

export interface Examination {
  /** By the clock of the process that examined; for people. */
  readonly examinedAtMs: number;
  readonly tookMs: number;
  /** What was examined, in a few words. */
  readonly deployment: string;
  /** The worst first. */
  readonly findings: readonly Finding[];
}

export function ok(subject: string, seen: string): Judgement {
  return { severity: 'ok', subject, seen, why: undefined, fix: undefined };
}

/** `seen`, `why` and `fix`, in this order: three texts that a call must not mix up. */
export interface Told {
  readonly seen: string;
  readonly why: string;
  readonly fix: string;
}

export function info(subject: string, told: Told): Judgement {
  return { severity: 'info', subject, ...told };
}

export function warning(subject: string, told: Told): Judgement {
  return { severity: 'warning', subject, ...told };
}

export function error(subject: string, told: Told): Judgement {
  return { severity: 'error', subject, ...told };
}

export function worstOf(findings: readonly { readonly severity: Severity }[]): Severity {
  const rank = Math.max(0, ...findings.map(({ severity }) => SEVERITIES.indexOf(severity)));
  return SEVERITIES[rank] ?? 'ok';
}
