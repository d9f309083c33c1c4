// What a client of a run does: its loops by name, and which of them a client has by its number.

export type Role =
  | 'hold'
  | 'unary'
  | 'shared'
  | 'permits'
  | 'many'
  | 'leader'
  | 'begin'
  | 'work'
  | 'read'
  | 'watch'
  | 'insist'
  | 'calm'
  | 'doubt';

/** What some clients of a run have in common, where the run says so. */
export interface ClientKind {
  readonly roles: readonly Role[];
  /** The only server that they know; all servers when not given. */
  readonly server?: number;
}

/**
 * Client number n of a run has some of the roles, so that of ten clients several have each: "client-3", and
 * "client-3.2".
 */
export function rolesOf(name: string): readonly Role[] {
  const number = Number(/\d+/.exec(name)?.[0] ?? 0);
  const every = (step: number, from: number, role: Role): Role[] => (number % step === from ? [role] : []);
  return [
    'hold',
    'unary',
    ...every(3, 0, 'shared'),
    ...every(3, 1, 'permits'),
    ...every(3, 2, 'many'),
    ...every(2, 0, 'leader'),
    ...every(3, 1, 'begin'),
    ...every(2, 1, 'work'),
    ...every(3, 0, 'read'),
    ...every(5, 0, 'watch'),
  ];
}
