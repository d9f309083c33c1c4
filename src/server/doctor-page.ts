// The page /doctor of the admin port: an examination of the deployment that this server is configured for, as JSON.

import type { AdminPage } from '../admin/admin-server.ts';
import type { Config } from '../config/config.ts';
import { ExaminationDesk } from '../doctor/examination-desk.ts';
import { examinationToJson } from '../doctor/examination-json.ts';
import { examine, NothingToExamineError } from '../doctor/examine.ts';
import type { Clock } from '../domain/clock.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

export function doctorPage(config: Config, clock: Clock): AdminPage {
  const desk = new ExaminationDesk(() => examine(config, { clock }), clock);
  return async () => {
    try {
      return { code: 200, type: JSON_TYPE, text: `${examinationToJson(await desk.latest())}\n` };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const code = error instanceof NothingToExamineError ? 404 : 503;
      return { code, type: JSON_TYPE, text: `${JSON.stringify({ error: reason })}\n` };
    }
  };
}
