// Reads settings from environment variables. A variable that begins with our prefix must be one that we know: otherwise
// the server would ignore a misspelt one without a word.
import { isOfClients } from './client-environment.ts';
import { closestName } from './closest-name.ts';
import type { ConfigProblem } from './config-error.ts';
import type { GivenValue, GivenValues } from './draft.ts';
import { SETTING_LIST, type Setting, type SettingKey } from './settings.ts';

const PREFIX = 'LEASEHOLD_';
const TEST_PREFIX = 'LEASEHOLD_TEST_';
/** Names the configuration file; it is not a setting itself. */
export const CONFIG_FILE_VARIABLE = 'LEASEHOLD_CONFIG';
// Kubernetes puts such variables into every pod of a namespace that has a Service called "leasehold" (or
// "leasehold-anything"). Nobody wrote them, so they must not keep the server from starting. A plain `…_PORT` counts
// only with a value as Kubernetes writes it: LEASEHOLD_REDIS_PORT=6380 is a mistake, and is reported.
const KUBERNETES_VARIABLE =
  /^LEASEHOLD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$/;
const KUBERNETES_PORT = /^LEASEHOLD_(\w+_)?PORT$/;
const KUBERNETES_PORT_VALUE = /^(tcp|udp|sctp):\/\//;

const settingByVariable: ReadonlyMap<string, Setting> = new Map(
  SETTING_LIST.map((setting) => [setting.environmentName, setting]),
);

export function readEnvironment(env: Readonly<Record<string, string | undefined>>): GivenValues {
  const values = new Map<SettingKey, GivenValue>();
  const problems: ConfigProblem[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith(PREFIX) || isNotOurs(name, text)) continue;
    const setting = settingByVariable.get(name);
    if (setting !== undefined) {
      values.set(setting.key, { value: setting.fromText(text), source: name, from: 'environment' });
      continue;
    }
    const near = closestName(name, settingByVariable.keys());
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    problems.push({ key: '', source: name, message: `unknown environment variable${hint}` });
  }
  return { values, sections: new Map(), problems };
}

function isNotOurs(name: string, text: string): boolean {
  if (name === CONFIG_FILE_VARIABLE || name.startsWith(TEST_PREFIX) || isOfClients(name)) return true;
  return KUBERNETES_VARIABLE.test(name) || (KUBERNETES_PORT.test(name) && KUBERNETES_PORT_VALUE.test(text));
}
