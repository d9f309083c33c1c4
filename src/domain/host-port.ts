// Network addresses written as "host:port". Owns how they are read, compared and written; resolves no names.
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

export interface HostPort {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;
// Four numbers with dots look like a name to the pattern above; if they aren't an IPv4 address, they are a typo.
const LOOKS_LIKE_IPV4 = /^[0-9.]+$/;

export function isHost(text: string): boolean {
  if (isIPv4(text) || isIPv6(text)) return true;
  return HOST_NAME.test(text) && !LOOKS_LIKE_IPV4.test(text);
}

/** What a peer says is an address; undefined if nothing can be connected to by it. */
export function hostPortFrom(host: string | undefined, port: string | undefined): HostPort | undefined {
  const number = Number(port);
  if (host === undefined || !isHost(host)) return undefined;
  return Number.isInteger(number) && number > 0 && number <= 65_535 ? { host, port: number } : undefined;
}

/** @returns undefined when the text is no address with a port from `lowestPort` to 65535. */
export function parseHostPort(text: string, lowestPort: 0 | 1): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port < lowestPort || port > 65_535) return undefined;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : undefined;
  return plain !== undefined && isHost(plain) ? { host: plain, port } : undefined;
}

export function formatHostPort(address: HostPort): string {
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

export function isSameHostPort(one: HostPort, other: HostPort): boolean {
  return formatHostPort(one) === formatHostPort(other);
}

/** Whether only this machine can reach a server that listens there. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.');
  if (isIPv6(host)) return new SocketAddress({ address: host, family: 'ipv6' }).address === '::1';
  return /^localhost\.?$/i.test(host);
}

/**
 * Equal for two spellings of one address: letter case and the many ways to write an IPv6 address don't
 * matter.
 */
export function hostPortIdentity(address: HostPort): string {
  const host = isIPv6(address.host)
    ? new SocketAddress({ address: address.host, family: 'ipv6' }).address
    : address.host.toLowerCase().replace(/\.$/, '');
  return formatHostPort({ host, port: address.port });
}
