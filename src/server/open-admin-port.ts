// The admin port of a server, with the pages that it adds to it: one for an instance, or one for several server
// processes.

import type { Logger } from 'pino';
import { AdminServer, type Scraped } from '../admin/admin-server.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../domain/clock.ts';
import { doctorPage } from './doctor-page.ts';

/** Undefined if the configuration has none. Throws when the port can't be bound. */
export async function openAdminPort(
  config: Config,
  log: Logger,
  clock: Clock,
  metrics: Scraped,
  ready: () => boolean,
): Promise<AdminServer | undefined> {
  if (!config.admin) return undefined;
  const pages = { '/doctor': doctorPage(config, clock) };
  const onDefect = (thrown: unknown): void => log.error({ err: thrown }, 'a defect of the admin port');
  return AdminServer.start(config.admin.address, metrics, ready, pages, onDefect);
}
