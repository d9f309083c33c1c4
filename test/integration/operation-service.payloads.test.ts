// Payloads of operations where the operator has raised server.max_payload_bytes as far as it goes: what is accepted,
// and that every answer stays below the 4 MiB that gRPC clients take if they set nothing.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Any } from '../../generated/google/protobuf/any.ts';
import { held, OperationClient, payload } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';

const MOST = 524_288;

/** A payload that takes so many bytes when encoded. */
function payloadOf(bytes: number, letter: string): Any {
  const text = letter.repeat(bytes);
  return payload(text.slice(Any.encode(payload(text)).finish().length - bytes));
}

describe.each(STORE_KINDS)('large payloads, %s store', (kind) => {
  let rig: Rig;
  let client: OperationClient;

  beforeAll(async () => {
    rig = await startRig(kind, {
      LEASEHOLD_SERVER_MAX_PAYLOAD_BYTES: String(MOST),
      LEASEHOLD_SERVER_MAX_MESSAGE_BYTES: '2097152',
    });
    client = new OperationClient(rig.instance.address);
  });
  afterAll(async () => {
    client?.close();
    await rig?.stop();
  });

  test('a raised limit is told by GetServerInfo and holds for data, progress and the result', async () => {
    expect((await rig.client.getServerInfo()).info?.limits?.maxPayloadBytes).toBe(MOST);
    const [data, progress] = [payloadOf(MOST, 'd'), payloadOf(MOST, 'p')];
    const attempt = await client.started({ resource: 'large', operationId: 'one' });
    const updated = await client.update({ ...attempt, data, progress });
    expect(updated.operation).toMatchObject({ data, progress });
    const outcome = { $case: 'result' as const, value: payloadOf(MOST, 'r') };
    const completed = await client.complete({ ...attempt, outcome });
    expect(completed).toMatchObject({ data, progress, outcome });
    const tooLarge = client.begin({ resource: 'r', operationId: 'o', data: payloadOf(MOST + 1, 'd') });
    await expect(tooLarge).rejects.toMatchObject({
      code: 3,
      violations: [
        { field: 'data', description: `must have at most ${MOST} bytes when encoded, has ${MOST + 1}` },
      ],
    });
  });

  test('claims and pages of operations with the largest payloads have no more of them than a client takes', async () => {
    const type = `t-${randomUUID()}`;
    const resource = `r-${randomUUID()}`;
    const [data, progress] = [payloadOf(MOST, 'd'), payloadOf(MOST, 'p')];
    for (let index = 0; index < 8; index++) {
      const attempt = await client.started({ resource, operationId: `o${index}`, type });
      await client.update({ ...attempt, data, progress });
      await client.yield(attempt);
    }
    const claimed: string[] = [];
    for (let answer = await claim(); answer.length > 0; answer = await claim()) claimed.push(...answer);
    expect(claimed.toSorted()).toEqual(Array.from({ length: 8 }, (_, index) => `o${index}`));

    const listed: string[] = [];
    let pageToken = '';
    do {
      const page = await client.list({
        filter: { resourcePrefix: resource },
        withPayloads: true,
        pageSize: 500,
        pageToken,
      });
      listed.push(...page.operations.map(({ operationId }) => operationId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(listed).toHaveLength(8);

    async function claim(): Promise<readonly string[]> {
      const answer = await client.claim({ types: [type], maxOperations: 32 });
      return answer.claimed.map((attempt) => held(attempt).operationId);
    }
  });
});
