// The few names that all clients fight for.

export const EXCLUSIVE_RESOURCES = ['hot/0', 'hot/1', 'hot/2'] as const;
/** By several at once, in different orders; now and then one of them alone. */
export const MANY_RESOURCES = ['many/0', 'many/1', 'many/2'] as const;
export const SHARED_RESOURCE = 'shared/0';
export const PERMITS_RESOURCE = 'permits/0';
export const PERMITS_LIMIT = 5;
export const LEADER_RESOURCE = 'leader/0';
/** For so many loops that most are taken, and some wait. */
export const GIVEN_BACK_RESOURCES = Array.from({ length: 36 }, (_, index) => `back/${index}`);
/** So many that most are free at any time. */
export const CALM_RESOURCES = Array.from({ length: 16 }, (_, index) => `calm/${index}`);
/** Of operations. */
export const PLAIN_RESOURCES = ['jobs/0', 'jobs/1'] as const;
/** Of operations whose attempts hold the lease of the resource; others take it too, now and then. */
export const LOCKED_RESOURCES = ['work/0', 'work/1'] as const;
