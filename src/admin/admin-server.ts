// The HTTP port for operators: /metrics, /healthz (the process lives), /readyz (send calls here), and the pages that
// the server adds.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bindFailure } from '../domain/bind-failure.ts';
import type { HostPort } from '../domain/host-port.ts';

const REQUEST_TIMEOUT_MS = 5_000;

/** What Prometheus scrapes. */
export interface Scraped {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Answers a GET. Never rejects. */
export type AdminPage = () => Promise<{
  readonly code: number;
  readonly type: string;
  readonly text: string;
}>;

export class AdminServer {
  readonly address: HostPort;
  readonly #server: Server;

  private constructor(server: Server, address: HostPort) {
    this.#server = server;
    this.address = address;
  }

  /**
   * @param pages by their paths, such as `/doctor`.
   * @param onDefect is called with what nobody expects to be thrown. A defect in one metric must cost a scrape, and not
   *   the leases that this process keeps.
   */
  static async start(
    address: HostPort,
    metrics: Scraped,
    ready: () => boolean,
    pages: Readonly<Record<string, AdminPage>>,
    onDefect: (thrown: unknown) => void,
  ): Promise<AdminServer> {
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const reply = (code: number, text: string, type = 'text/plain; charset=utf-8'): void => {
        response.writeHead(code, { 'content-type': type }).end(request.method === 'HEAD' ? '' : text);
      };
      if (request.method !== 'GET' && request.method !== 'HEAD') return reply(405, 'GET only\n');
      // Cut, not parsed as a URL: a client can send a target that is none, such as "//".
      const path = request.url?.split('?', 1)[0] ?? '';
      if (Object.hasOwn(pages, path)) {
        const page = await pages[path]?.();
        if (page) return reply(page.code, page.text, page.type);
      }
      switch (path) {
        case '/metrics':
          return reply(200, await metrics.text(), metrics.contentType);
        case '/healthz':
          return reply(200, 'ok\n');
        case '/readyz':
          return ready() ? reply(200, 'ready\n') : reply(503, 'not ready\n');
        default:
          return reply(404, `try ${['/metrics', '/healthz', ...Object.keys(pages)].join(', ')} or /readyz\n`);
      }
    };
    const server = createServer((request, response) => {
      answer(request, response).catch((thrown) => {
        onDefect(thrown);
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    });
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    server.headersTimeout = REQUEST_TIMEOUT_MS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', ({ message }) => reject(bindFailure('admin.address', address, message)));
      server.listen(address.port, address.host, resolve);
    });
    const { port } = server.address() as AddressInfo; // listening on TCP
    return new AdminServer(server, { host: address.host, port });
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
