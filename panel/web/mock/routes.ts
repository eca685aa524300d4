/** Made-up answers, typed with the same types as the pages. */

import {
  EVENT_TYPES,
  type AbResult,
  type Adjustment,
  type Explored,
  type Funnel,
  type LedgerRow,
  type NewToken,
  type Now,
  type NowPoint,
  type Quality,
  type Retention,
  type Session,
  type StopChange,
  type Token,
  type User,
  type WindowRow,
} from '../src/api/types.ts';

interface Asked {
  url: URL;
  match: RegExpExecArray;
  body: unknown;
}

interface Route {
  method: string;
  path: RegExp;
  answer: (asked: Asked) => unknown;
}

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
const wave = (t: number, mean: number, swing = 0.2) =>
  Math.max(0, Math.round(mean * (1 + swing * Math.sin(t / 17) + swing * 0.4 * Math.sin(t / 3.1)) * 10) / 10);

function point(t: number): NowPoint {
  return {
    time: new Date(t * 1000).toISOString(),
    impression: wave(t, 3900),
    visit: wave(t + 9, 960),
    click: wave(t + 4, 4.2, 0.5),
    conversion: t % 11 === 0 ? 1 : 0,
  };
}

function now(): Now {
  const t = Math.floor(Date.now() / 1000);
  const history = Array.from({ length: 300 }, (_, i) => point(t - 299 + i));
  const last = point(t);
  return {
    time: new Date(t * 1000).toISOString(),
    rates: last,
    rejected_per_second: 0,
    ack_ms: { p50: 0.84, p99: 4.2 },
    history,
    spool: { bytes: 381_000_000, quota_bytes: 8 * 2 ** 30, depth_events: 4211, seconds_left: null },
    sinks: [
      { sink: 'statistics', state: 'running', lag_events: 4211, lag_seconds: 1, partitions: 2 },
      { sink: 'balances', state: 'running', lag_events: 512, lag_seconds: 0, partitions: 2 },
      { sink: 'archive', state: 'retrying', lag_events: 18_204, lag_seconds: 31, partitions: 2 },
    ],
    stops: [
      {
        campaign_id: 3,
        name: 'Autumn retargeting',
        reason: 'total_budget',
        since: ago(42),
        who: 'penstock',
        note: '',
      },
      {
        campaign_id: 7,
        name: 'Spring sale',
        reason: 'operator',
        since: ago(7000),
        who: 'ada',
        note: 'wrong landing page',
      },
    ],
    roles: [
      { name: 'sidecar', health: 'ok', reason: null },
      { name: 'statistics', health: 'ok', reason: null },
      { name: 'balances', health: 'ok', reason: null },
      {
        name: 'archive',
        health: 'degraded',
        reason: 'The archive is retried: permission denied on data/archive',
      },
      { name: 'engine', health: 'ok', reason: null },
      { name: 'panel', health: 'ok', reason: null },
    ],
    dead_total: 3,
    stop_latency_ms: { p50: 240, p99: 610 },
  };
}

const session: Session = {
  open: false,
  user: { name: 'ada', role: 'admin', via: 'password', must_change_password: false },
  csrf: 'mock',
  oidc: null,
  version: '0.1.0-mock',
};

const users: User[] = [
  { name: 'ada', role: 'admin', disabled: false, via: 'password', created: ago(9e6), last_login: ago(300) },
  {
    name: 'grace',
    role: 'operator',
    disabled: false,
    via: 'oidc',
    created: ago(3e6),
    last_login: ago(90_000),
  },
  { name: 'edsger', role: 'viewer', disabled: true, via: 'password', created: ago(2e6), last_login: null },
];

const tokens: Token[] = [
  {
    id: 't1',
    name: 'grafana',
    role: 'viewer',
    created_by: 'ada',
    created: ago(8e5),
    expires: ago(-9e6),
    last_used: ago(20),
  },
];

const COUNTRIES = ['DE', 'US', 'FR', 'GB', 'PL', 'IT', 'ES', 'NL', 'SE', 'BR'];
const DEVICES = ['mobile', 'desktop', 'tablet'];

function explored(url: URL): Explored {
  const groups = (url.searchParams.get('group_by') ?? '').split(',').filter(Boolean);
  const measures = (url.searchParams.get('measures') ?? 'impressions').split(',');
  const step = url.searchParams.get('step');
  const columns: Explored['columns'] = [
    ...(step ? [{ name: 'time', kind: 'time' as const, unit: null }] : []),
    ...groups.map((name) => ({ name, kind: 'dimension' as const, unit: null })),
    ...measures.map((name) => ({
      name,
      kind: 'measure' as const,
      unit: name.endsWith('_nanos')
        ? ('nanos' as const)
        : name.endsWith('_micros')
          ? ('micros' as const)
          : name === 'ctr' || name === 'cvr'
            ? ('ratio' as const)
            : ('count' as const),
    })),
  ];
  const values = groups.map((g) => (g === 'device' ? DEVICES : COUNTRIES));
  let keys: string[][] = [[]];
  for (const options of values) keys = keys.flatMap((key) => options.map((o) => [...key, o]));
  const times = step
    ? Array.from({ length: 24 }, (_, i) => ago((24 - i) * 3600).slice(0, 13) + ':00:00Z')
    : [null];
  const rows = times.flatMap((time, t) =>
    keys.map((key, k) => [
      ...(time ? [time] : []),
      ...key,
      ...measures.map((m) => {
        const base = wave(t * 5 + k * 3, 90_000 / (k + 1));
        if (m.endsWith('nanos')) return String(Math.round(base * 1_500_000));
        if (m === 'ctr' || m === 'cvr') return 0.001 + k / 9000;
        return Math.round(m === 'clicks' ? base / 900 : base);
      }),
    ]),
  );
  return { columns, rows: rows.slice(0, 500), truncated: false };
}

const funnelSteps = (base: number): Funnel['steps'] => [
  { step: 1, type: 'impression', users: base, from_previous: null, from_first: 1 },
  { step: 2, type: 'click', users: Math.round(base * 0.041), from_previous: 0.041, from_first: 0.041 },
  { step: 3, type: 'conversion', users: Math.round(base * 0.0021), from_previous: 0.051, from_first: 0.0021 },
];

function funnel(url: URL): Funnel {
  const by = url.searchParams.get('by');
  return {
    steps: funnelSteps(81_233),
    ...(by
      ? { groups: COUNTRIES.slice(0, 5).map((value, i) => ({ value, steps: funnelSteps(30_000 / (i + 1)) })) }
      : {}),
  };
}

function retention(): Retention {
  return {
    unit: 'day',
    cohorts: Array.from({ length: 8 }, (_, c) => ({
      start: ago((8 - c) * 86_400).slice(0, 10) + 'T00:00:00Z',
      users: 9000 - c * 320,
      returned: Array.from({ length: 8 - c }, (_, k) =>
        Math.round((9000 - c * 320) * (k === 0 ? 1 : 0.42 / k ** 0.6)),
      ),
    })),
  };
}

const ab: AbResult = {
  control: 'blue',
  variations: [
    { variation_id: 'blue', trials: 120_331, successes: 1204, rate: 0.01, interval: [0.0095, 0.0106] },
    { variation_id: 'green', trials: 119_872, successes: 1391, rate: 0.0116, interval: [0.011, 0.0122] },
    { variation_id: 'plain', trials: 60_010, successes: 588, rate: 0.0098, interval: [0.009, 0.0106] },
  ],
  comparisons: [
    {
      variation_id: 'green',
      difference: 0.0016,
      relative: 0.16,
      interval: [0.0008, 0.0024],
      z: 3.77,
      p_value: 0.00016,
      significant: true,
    },
    {
      variation_id: 'plain',
      difference: -0.0002,
      relative: -0.02,
      interval: [-0.0012, 0.0007],
      z: -0.42,
      p_value: 0.68,
      significant: false,
    },
  ],
};

const quality: Quality = {
  dead: [
    { sink: 'statistics', code: 'invalid', count: 2 },
    { sink: 'balances', code: 'corrupt', count: 1 },
  ],
  dead_total: 3,
  duplicates: [{ log: 'spool-a', type: 'click', events: 212, nanos: '424000000000' }],
  unattributed: [{ log: 'spool-a', type: 'impression', events: 19, nanos: '0' }],
  late: [
    { bucket: '<1m', events: 2_912_330 },
    { bucket: '1-10m', events: 4120 },
    { bucket: '10-60m', events: 201 },
    { bucket: '1-24h', events: 12 },
    { bucket: '>24h', events: 0 },
  ],
  future_events: 4,
  delivered_twice: 31,
};

const HOUR = 3600;

export const routes: readonly Route[] = [
  { method: 'GET', path: /^\/api\/v1\/session$/, answer: () => session },
  { method: 'DELETE', path: /^\/api\/v1\/session$/, answer: () => ({}) },
  { method: 'GET', path: /^\/api\/v1\/users$/, answer: () => users },
  { method: 'GET', path: /^\/api\/v1\/tokens$/, answer: () => tokens },
  {
    method: 'POST',
    path: /^\/api\/v1\/tokens$/,
    answer: ({ body }): NewToken => ({ ...(body as NewToken), id: 't9', token: 'pst_t9_0123456789abcdef' }),
  },
  { method: 'GET', path: /^\/api\/v1\/now$/, answer: now },
  {
    method: 'GET',
    path: /^\/api\/v1\/windows$/,
    answer: (): WindowRow[] =>
      Array.from({ length: 12 }, (_, i) => i).flatMap((i) =>
        EVENT_TYPES.map((type) => ({
          window_start: ago(i * 10),
          type,
          count: Math.round(point(i)[type] * 10),
        })),
      ),
  },
  { method: 'GET', path: /^\/api\/v1\/explore$/, answer: ({ url }) => explored(url) },
  {
    method: 'GET',
    path: /^\/api\/v1\/dimensions\/(\w+)\/values$/,
    answer: ({ match }) =>
      (match[1] === 'device' ? DEVICES : COUNTRIES).map((value, i) => ({ value, events: 90_000 / (i + 1) })),
  },
  { method: 'GET', path: /^\/api\/v1\/analytics\/funnel$/, answer: ({ url }) => funnel(url) },
  { method: 'GET', path: /^\/api\/v1\/analytics\/retention$/, answer: retention },
  { method: 'GET', path: /^\/api\/v1\/analytics\/ab$/, answer: () => ab },
  {
    method: 'GET',
    path: /^\/api\/v1\/analytics\/users$/,
    answer: () => ({
      rows: Array.from({ length: 24 }, (_, i) => ({
        time: ago((24 - i) * HOUR),
        users: Math.round(wave(i * 4, 5200)),
      })),
      total: 81_233,
    }),
  },
  { method: 'GET', path: /^\/api\/v1\/quality$/, answer: () => quality },
  { method: 'POST', path: /^\/api\/v1\/dead\/replay$/, answer: () => ({ replayed: [], refused: [] }) },
  {
    method: 'GET',
    path: /^\/api\/v1\/campaigns\/\d+\/ledger$/,
    answer: (): LedgerRow[] =>
      Array.from({ length: 8 }, (_, i) => ({
        hour: ago(i * HOUR).slice(0, 13) + ':00:00Z',
        type: i % 3 === 0 ? 'click' : 'impression',
        events: 1200 + i,
        cost_nanos: String(1_500_000n * BigInt(1200 + i)),
      })),
  },
  {
    method: 'GET',
    path: /^\/api\/v1\/campaigns\/\d+\/adjustments$/,
    answer: (): Adjustment[] => [
      {
        time: ago(5 * HOUR),
        kind: 'refund',
        amount_nanos: '-2500000000',
        who: 'ada',
        why: 'bot traffic',
        day: '2026-11-20',
      },
    ],
  },
  {
    method: 'GET',
    path: /^\/api\/v1\/campaigns\/\d+\/stops$/,
    answer: (): StopChange[] => [
      { version: 17, time: ago(60), serving: false, reasons: ['total_budget'], cause_received: ago(60.2) },
      { version: 9, time: ago(7200), serving: true, reasons: [], cause_received: null },
    ],
  },
];
