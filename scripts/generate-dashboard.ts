// `npm run generate:dashboard`: writes the Grafana dashboard of deploy/monitoring from scripts/dashboard. A test
// compares the two.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboardJson } from './dashboard/grafana-json.ts';

const FILE = 'deploy/monitoring/grafana/dashboards/leasehold.json';
writeFileSync(join(import.meta.dirname, '..', FILE), dashboardJson());
console.log(`wrote ${FILE}`);
