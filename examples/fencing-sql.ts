// A table that refuses late writers: each row remembers the largest fencing token that has written it, and a write with
// a smaller token changes nothing. This works in every SQL database; here it is SQLite, which comes with Node.js. Needs
// a running server (npm start).
//
//   npx node examples/fencing-sql.ts [host:port]
import { DatabaseSync } from 'node:sqlite';
import { createClient } from '../src/client/client.ts'; // in your project: 'leasehold/client'

const [server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = createClient({ addresses: server });
const db = new DatabaseSync(':memory:');
db.exec(
  'CREATE TABLE invoice (id TEXT PRIMARY KEY, total INTEGER NOT NULL, fencing_token INTEGER NOT NULL) STRICT',
);
db.exec("INSERT INTO invoice VALUES ('42', 0, 0)");

/** Returns whether it was written. Comparison and write are one statement, so nothing comes between them. */
function writeTotal(id: string, total: number, token: bigint): boolean {
  const update =
    'UPDATE invoice SET total = :total, fencing_token = :token WHERE id = :id AND fencing_token <= :token';
  return db.prepare(update).run({ id, total, token }).changes === 1;
}

// A holder that is paused: its lease ends while it still believes that it holds it, and it writes when it wakes up.
const paused = await client.acquire('invoice:42');
await paused.release(); // To everybody else, the end of the lease looks like this.

await client.withLock('invoice:42', (lease) => {
  console.log(`written: ${writeTotal('42', 100, lease.fencingToken)}`);
});
console.log(`written late: ${writeTotal('42', 7, paused.fencingToken)}`);
console.log(`total: ${db.prepare("SELECT total FROM invoice WHERE id = '42'").get()?.total}`);
client.close();
