// All checks, in the order in which docs/doctor.md lists them. A test compares the two.

import { CERTIFICATE_CHECKS } from './checks/certificate-checks.ts';
import { DEPLOYMENT_CHECKS } from './checks/deployment-checks.ts';
import { KERNEL_CHECKS } from './checks/kernel-checks.ts';
import { MEMORY_CHECKS } from './checks/memory-checks.ts';
import { PERSISTENCE_CHECKS } from './checks/persistence-checks.ts';
import { REACH_CHECKS } from './checks/reach-checks.ts';
import { REPLICATION_CHECKS } from './checks/replication-checks.ts';
import { RIGHTS_CHECKS } from './checks/rights-checks.ts';
import { ROLL_CALL_CHECKS } from './checks/roll-call-checks.ts';
import { SENTINEL_CHECKS } from './checks/sentinel-checks.ts';
import { SENTINEL_SETTING_CHECKS } from './checks/sentinel-setting-checks.ts';
import { TIMING_CHECKS } from './checks/timing-checks.ts';
import { VERSION_CHECKS } from './checks/version-checks.ts';
import type { Check } from './facts.ts';

export const CHECKS: readonly Check[] = [
  ...REACH_CHECKS,
  ...RIGHTS_CHECKS,
  ...DEPLOYMENT_CHECKS,
  ...ROLL_CALL_CHECKS,
  ...VERSION_CHECKS,
  ...MEMORY_CHECKS,
  ...PERSISTENCE_CHECKS,
  ...REPLICATION_CHECKS,
  ...SENTINEL_CHECKS,
  ...SENTINEL_SETTING_CHECKS,
  ...TIMING_CHECKS,
  ...CERTIFICATE_CHECKS,
  ...KERNEL_CHECKS,
];
