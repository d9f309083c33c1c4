// The way to the client of a traced watch: the span of its call ends with the snapshot.

import type { Trace } from '../domain/trace.ts';
import type { WatchSink } from '../service/watch-call.ts';

export function tracedSink<State>(sink: WatchSink<State>, trace: Trace | undefined): WatchSink<State> {
  if (!trace) return sink;
  return {
    ...sink,
    tell(event) {
      sink.tell(event);
      if (event.kind === 'snapshot-complete') trace.answered(event.kind);
    },
  };
}
