// Why the server can't listen on an address, for the person who configured it: which setting it is, and what to do. The
// servers that listen bring the system's error; this file owns the words.

import { formatHostPort, type HostPort } from './host-port.ts';

/** The settings of addresses on which the server listens. */
export type ListeningSetting = 'server.address' | 'admin.address';

/** @param reason the system's message, which has the error's code somewhere in it. */
export function bindFailure(setting: ListeningSetting, address: HostPort, reason: string): Error {
  const variable = `LEASEHOLD_${setting.replace('.', '_').toUpperCase()}`;
  const choose = `set another one in ${setting} (${variable})`;
  const orNone = setting === 'admin.address' ? ', or "off" for no admin port' : '';
  return new Error(`${setting}: ${inWords(formatHostPort(address), reason)}; ${choose}${orNone}`);
}

function inWords(address: string, reason: string): string {
  const [code = ''] = /\bE[A-Z]{3,}\b/.exec(reason) ?? [];
  switch (code) {
    case 'EADDRINUSE':
      return `another process, perhaps another Leasehold server, listens on ${address} (${code})`;
    case 'EACCES':
      return `this user may not listen on ${address} (${code})`;
    case 'EADDRNOTAVAIL':
      return `${address} is no address of this machine (${code})`;
    default:
      return `cannot listen on ${address}: ${reason}`;
  }
}
