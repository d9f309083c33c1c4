// The same cycles with what others use: handwritten SET NX, node-redlock, and etcd's lock service, beside Leasehold.
// They promise different things and do the work in different places, so the client's CPU time is shown, too. etcd
// writes each grant to disk, so Leasehold also runs on a Redis that does (`appendfsync always`). Where etcd is
// installed, both are compared with it round by round: it stands in the column of the floor.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { median, type Paired, paired } from '../figures.ts';
import type { Uncontended, UncontendedOrder } from '../load-order.ts';
import { hasRedlock, program } from '../peers/installed.ts';
import { type Backend, type Rig, redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const CALLERS = 64;
/** The spread of fewer says little. */
const QUICK_ROUNDS = 5;
const ROUNDS = 9;
const LEASEHOLD = ['Leasehold', 'Leasehold, on disk'] as const;
const ETCD = 'etcd, on disk';
/** The budgets, as parts of what etcd has in the same round: cycles a second, and CPU per call. */
const CYCLES_OF_ETCD: Readonly<Record<string, number>> = { [LEASEHOLD[0]]: 1.8, [LEASEHOLD[1]]: 1 };
const CPU_OF_ETCD = 0.6;
const WRITES_EACH_COMMAND = ['appendonly yes', 'appendfsync always'];

interface Contender {
  readonly name: string;
  readonly address: string;
  readonly peer: UncontendedOrder['peer'];
  /** The CPU time of all processes that serve it, since their start. */
  cpuUs(): Promise<number>;
}

interface Sample {
  readonly load: Uncontended;
  readonly serversCpuUs: number;
}

export const peers: Scenario = {
  name: 'peers',
  title: `What others use, with ${CALLERS} callers (on disk: each write is, before it is answered; floor: etcd)`,
  async run(rig, { quick }) {
    const contenders = await all(rig);
    const generator = rig.generator();
    const sample = async ({ address, peer, cpuUs }: Contender, forMs: number): Promise<Sample> => {
      const before = await cpuUs();
      const load = await generator.order<Uncontended>({
        kind: 'uncontended',
        address,
        peer,
        callers: CALLERS,
        forMs,
      });
      return { load, serversCpuUs: (await cpuUs()) - before };
    };
    for (const contender of contenders) await sample(contender, quick ? 700 : 3_000);
    const samples = new Map(contenders.map(({ name }): [string, Sample[]] => [name, []]));
    for (let round = 0; round < (quick ? QUICK_ROUNDS : ROUNDS); round++) {
      // The order changes, because each finds the machine in the state in which the one before has left it.
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        samples.get(contender.name)?.push(await sample(contender, quick ? 700 : 2_500));
      }
    }
    return [...samples].flatMap(([name, own]) => figures(name, own, samples.get(ETCD)));
  },
};

async function all(rig: Rig): Promise<readonly Contender[]> {
  const inMemory = await rig.redis();
  const redisAddress = formatHostPort(inMemory.redis.listens);
  const ofRedis = async (): Promise<number> => (await redisUsage(inMemory)).cpuUs;
  const contenders: Contender[] = [
    { name: 'SET NX by hand', peer: 'set-nx', address: redisAddress, cpuUs: ofRedis },
  ];
  if (hasRedlock()) {
    contenders.push({ name: 'redlock', peer: 'redlock', address: redisAddress, cpuUs: ofRedis });
  }
  contenders.push(await leasehold(rig, LEASEHOLD[0], inMemory));
  // Between the two that are compared with it, so that little time lies between it and each of them.
  const etcd = await program('etcd');
  if (etcd) {
    const server = await rig.etcd(etcd);
    contenders.push({
      name: ETCD,
      peer: 'etcd',
      address: server.address,
      cpuUs: async () => server.cpuUs(),
    });
  }
  contenders.push(await leasehold(rig, LEASEHOLD[1], await rig.redis(WRITES_EACH_COMMAND)));
  return contenders;
}

async function leasehold(rig: Rig, name: string, backend: Backend): Promise<Contender> {
  const server = await rig.leasehold(backend);
  return {
    name,
    peer: 'frames',
    address: formatHostPort(server.address),
    cpuUs: async () => (await usageOf(server)).cpuUs + (await redisUsage(backend)).cpuUs,
  };
}

function figures(
  name: string,
  samples: readonly Sample[],
  etcd: readonly Sample[] | undefined,
): readonly Found[] {
  const middle = (of: (sample: Sample) => number): number => median(samples.map(of));
  const isCompared = LEASEHOLD.some((ours) => ours === name);
  /** Against etcd in the same round. */
  const against = (of: (sample: Sample) => number): Pick<Found, 'value'> | Paired =>
    isCompared && etcd
      ? paired(
          samples.flatMap((ours, round) => {
            const floor = etcd[round];
            return floor ? [{ ours, floor }] : [];
          }),
          of,
        )
      : { value: middle(of) };
  const calls = ({ load }: Sample): number => 2 * load.cycles;
  return [
    {
      name: `${name}: cycles`,
      unit: '1/s',
      ...against(({ load }) => (load.cycles / load.tookMs) * 1_000),
      ...(isCompared && etcd ? { budget: { of: 'ratio', atLeast: CYCLES_OF_ETCD[name] ?? 1 } } : {}),
      better: 'more',
    },
    {
      name: `${name}: taking it, p50`,
      unit: 'ms',
      value: middle(({ load }) => load.acquireP50Ms),
      better: 'less',
    },
    {
      name: `${name}: taking it, p99`,
      unit: 'ms',
      value: middle(({ load }) => load.acquireP99Ms),
      better: 'less',
    },
    {
      name: `${name}: CPU of the servers per call`,
      unit: 'us',
      ...against((sample) => sample.serversCpuUs / calls(sample)),
      ...(name === LEASEHOLD[0] && etcd ? { budget: { of: 'ratio', atMost: CPU_OF_ETCD } } : {}),
      better: 'less',
    },
    {
      name: `${name}: CPU of the client per call`,
      unit: 'us',
      value: middle((sample) => sample.load.generatorCpuUs / calls(sample)),
      better: 'less',
    },
  ];
}
