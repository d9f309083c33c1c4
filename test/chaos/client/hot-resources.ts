// The few names that all clients compete for.

export const EXCLUSIVE_RESOURCES = ['hot/0', 'hot/1', 'hot/2'] as const;
/** Acquired together, in different orders, and now and then one of them alone. */
export const MANY_RESOURCES = ['many/0', 'many/1', 'many/2'] as const;
export const SHARED_RESOURCE = 'shared/0';
export const PERMITS_RESOURCE = 'permits/0';
export const PERMITS_LIMIT = 5;
export const LEADER_RESOURCE = 'leader/0';
/** Enough for so many loops that most are taken, and some callers wait. */
export const GIVEN_BACK_RESOURCES = Array.from({ length: 36 }, (_, index) => `back/${index}`);
/** So many that most are free at any time. */
export const CALM_RESOURCES = Array.from({ length: 16 }, (_, index) => `calm/${index}`);
/** Resources of operations. */
export const PLAIN_RESOURCES = ['jobs/0', 'jobs/1'] as const;
/** Resources of operations whose attempts hold the lease of the resource; other callers lock it too, now and then. */
export const LOCKED_RESOURCES = ['work/0', 'work/1'] as const;
