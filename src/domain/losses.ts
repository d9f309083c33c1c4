// Why a lease or an attempt ended without its holder: the reasons that its keep-alive stream tells.

export type LeaseLoss = 'expired' | 'released' | 'revoked' | 'max-hold' | 'unknown-lease';

export type AttemptLoss =
  | 'expired'
  | 'superseded'
  | 'yielded'
  | 'finished'
  /** The lease that the attempt runs under ended. */
  | 'lease-lost'
  | 'unknown-attempt';
