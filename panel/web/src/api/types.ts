/** JSON shapes of the panel's API. 64-bit amounts are strings, times RFC 3339 in UTC. */

export type EventType = 'impression' | 'visit' | 'click' | 'conversion';
export const EVENT_TYPES: readonly EventType[] = ['impression', 'visit', 'click', 'conversion'];

export type Role = 'viewer' | 'operator' | 'admin';
export type Health = 'ok' | 'degraded' | 'down';
export type Time = string;
/** An integer as text: nanos (10⁻⁹) or micros (10⁻⁶) of the account's currency. */
export type Amount = string;

export interface Answer<T> {
  status: 'ok';
  result: T;
  timestamp: Time;
}

export interface Page<T> extends Answer<T[]> {
  next_cursor: string | null;
}

export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  field?: string;
}

// ---- access

export interface SessionUser {
  name: string;
  role: Role;
  via: 'password' | 'oidc' | 'token' | 'open';
  must_change_password: boolean;
}

export interface Session {
  open: boolean;
  user: SessionUser | null;
  csrf: string | null;
  oidc: { label: string; login_url: string } | null;
  version: string;
}

export interface User {
  name: string;
  role: Role;
  disabled: boolean;
  via: string;
  created: Time;
  last_login: Time | null;
}

export interface Token {
  id: string;
  name: string;
  role: Role;
  created_by: string;
  created: Time;
  expires: Time | null;
  last_used: Time | null;
}

export interface NewToken {
  id: string;
  name: string;
  role: Role;
  expires: Time | null;
  token: string;
}

// ---- now

export type Rates = Record<EventType, number>;

export interface NowPoint extends Rates {
  time: Time;
}

export interface Quantiles {
  p50: number;
  p99: number;
}

export interface NowSink {
  sink: string;
  state: string;
  lag_events: number;
  lag_seconds: number | null;
  partitions: number;
}

export interface NowStop {
  campaign_id: number;
  name: string;
  reason: string;
  since: Time | null;
  who: string;
  note: string;
}

export interface Now {
  time: Time;
  rates: Rates;
  rejected_per_second: number;
  ack_ms: Quantiles | null;
  history: NowPoint[];
  spool: { bytes: number; quota_bytes: number; depth_events: number; seconds_left: number | null } | null;
  sinks: NowSink[];
  stops: NowStop[];
  roles: { name: string; health: Health; reason: string | null }[];
  dead_total: number;
  stop_latency_ms: Quantiles | null;
}

export interface WindowRow {
  window_start: Time;
  type: EventType;
  count: number;
}

// ---- campaigns

export interface Kpis {
  visits: number;
  impressions: number;
  clicks: number;
  conversions: number;
}

export interface Stop {
  reason: string;
  since: Time;
  who: string;
  note: string;
}

export interface Campaign {
  campaign_id: number;
  name: string;
  advertiser_id: number;
  advertiser_name?: string | null;
  currency: string;
  time_zone: string;
  status: 'serving' | 'stopped';
  reason: string | null;
  reasons: string[];
  stops: Stop[];
  total_budget_micros: Amount | null;
  daily_budget_micros: Amount | null;
  balance_micros: Amount | null;
  spent_nanos: Amount;
  spent_today_nanos: Amount;
  adjusted_nanos: Amount;
  overspend_nanos: Amount;
  kpis: Kpis;
  spend_per_hour_nanos?: Amount | null;
  exhausted_at?: Time | null;
  overspend_bound_nanos?: Amount | null;
}

export interface TimeseriesPoint {
  time: Time;
  kpis: Kpis;
  cost_nanos: Amount;
}

export interface LedgerRow {
  hour: Time;
  type: EventType;
  events: number;
  cost_nanos: Amount;
}

export interface Adjustment {
  time: Time;
  kind: string;
  amount_nanos: Amount;
  who: string;
  why: string;
  day: string | null;
}

export interface StopChange {
  version: number;
  time: Time;
  serving: boolean;
  reasons: string[];
  cause_received: Time | null;
}

export interface AuditEntry {
  id: number;
  time: Time;
  who: string;
  action: string;
  subject: string;
  before: unknown;
  after: unknown;
  why: string;
}

// ---- events

export interface Event {
  id: string;
  type: EventType;
  time: Time;
  received: Time;
  server: string;
  campaign_id: number;
  cost_nanos: Amount;
  payload: Record<string, unknown>;
  log: string;
  partition: number;
  offset: number;
}

export interface EventFound extends Event {
  place: {
    log: string;
    partition: number;
    offset: number;
    archive: { path: string; found: boolean } | null;
  };
}

// ---- explore and analytics

export interface Filter {
  dim: string;
  op: 'in' | 'not_in' | 'starts_with';
  values: string[];
}

export interface Column {
  name: string;
  kind: 'dimension' | 'measure' | 'time';
  unit: 'nanos' | 'micros' | 'ratio' | 'count' | null;
}

export type Cell = string | number | null;

export interface Explored {
  columns: Column[];
  rows: Cell[][];
  truncated: boolean;
}

export interface DimensionValue {
  value: string;
  events: number;
}

export interface UsersOverTime {
  rows: { time: Time; users: number }[];
  total: number;
}

export interface FunnelStep {
  step: number;
  type: string;
  users: number;
  from_previous: number | null;
  from_first: number | null;
}

export interface Funnel {
  steps: FunnelStep[];
  groups?: { value: string; steps: FunnelStep[] }[];
}

export interface Retention {
  unit: 'day' | 'week' | 'month';
  cohorts: { start: Time; users: number; returned: number[] }[];
}

export interface AbVariation {
  variation_id: string;
  trials: number;
  successes: number;
  rate: number | null;
  interval: [number, number] | null;
}

export interface AbComparison {
  variation_id: string;
  difference: number;
  relative: number | null;
  interval: [number, number] | null;
  z: number | null;
  p_value: number | null;
  significant: boolean;
}

export interface AbResult {
  control: string | null;
  variations: AbVariation[];
  comparisons: AbComparison[];
}

// ---- data quality

export interface Quality {
  dead: { sink: string; code: string; count: number }[];
  dead_total: number;
  duplicates: { log: string; type: EventType; events: number; nanos: Amount }[];
  unattributed: { log: string; type: EventType; events: number; nanos: Amount }[];
  late: { bucket: string; events: number }[];
  future_events: number;
  /** Null when counting it would cost too much. */
  delivered_twice: number | null;
}

export interface DeadLetter {
  id: string;
  sink: string;
  log: string;
  partition: number;
  offset: number;
  code: string;
  field: string | null;
  message: string;
  event_type: string | null;
  time: Time | null;
  bytes: number;
  /** Who had its record appended again, when, and where it is now. */
  replayed?: { who: string; time: Time; log: string; partition: number; offset: number | null };
  event?: unknown;
  body_hex?: string;
}

export interface Replayed {
  replayed: { id: string; log: string | null; partition: number | null; offset: number | null }[];
  refused: { id: string; code: string; why: string }[];
}

export interface Figures {
  events: number;
  nanos: Amount;
}

export interface SinkReport {
  position: number;
  lag_events: number;
  events: number;
  dead: number;
  nanos: Amount | null;
  charged?: Figures;
  duplicates?: Figures;
  unattributed?: Figures;
}

export interface PartitionReport {
  log: string;
  partition: number | null;
  acknowledged: number;
  statistics: SinkReport;
  balances: SinkReport;
  archive: SinkReport;
  equal: boolean;
}

export interface Difference {
  check: string;
  log: string;
  partition: number;
  message: string;
}

export interface Reconciliation {
  equal: boolean;
  complete: boolean;
  started: Time;
  finished: Time;
  partitions: PartitionReport[];
  totals: PartitionReport;
  differences: Difference[];
  notes: string[];
  differences_left_out: number;
}
