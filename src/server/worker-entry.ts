// One of several workers behind one port: an instance in a process of its own, under the orders of a supervisor
// (supervisor/). Started by it and by nobody else; when it is gone, so is this process (node:cluster sees to that).

import { serveAsWorker } from './serve-as-worker.ts';

serveAsWorker(Number(process.argv[2]));
