/** The live tail, and searching in what came in. */

import { Pause, Play, Search } from 'lucide-react';
import { useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import { errorWords } from '../../api/client.ts';
import { useEvents, useTail } from '../../api/events.ts';
import { EVENT_TYPES } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { plural } from '../../lib/numbers.ts';
import { iso, readRange, spanOf, writeRange } from '../../lib/range.ts';
import { useParams } from '../../lib/url.ts';
import { typeWords } from '../../lib/words.ts';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { Select, TextField } from '../../ui/Field.tsx';
import { Page } from '../../ui/Page.tsx';
import { Pager } from '../../ui/Pager.tsx';
import { RangePicker } from '../../ui/RangePicker.tsx';
import { Segmented } from '../../ui/Segmented.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import css from './Events.module.css';
import { EventTable } from './EventTable.tsx';

const DEFAULT = '1h';
const TEXTS = [
  { name: 'campaign_id', label: 'Campaign number' },
  { name: 'tag', label: 'Tag' },
  { name: 'user_id', label: 'User' },
  { name: 'country', label: 'Country' },
  { name: 'site_id', label: 'Site' },
  { name: 'server', label: 'Ad server' },
  { name: 'click_id', label: 'Click id' },
  { name: 'impression_id', label: 'Impression id' },
] as const;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export default function EventsPage() {
  const [params, change] = useParams();
  const mode = params.get('mode') === 'search' ? 'search' : 'tail';
  const clock = useNow(60_000);
  const range = readRange(params, DEFAULT);
  const span = spanOf(range, clock);
  const filter = useMemo(() => {
    const found: Record<string, string | null> = { event_type: params.get('event_type') };
    for (const { name } of TEXTS) found[name] = params.get(name);
    return found;
  }, [params]);

  return (
    <Page
      title="Events"
      actions={
        <>
          <Segmented
            label="What is shown"
            value={mode}
            onPick={(picked) => change({ mode: picked === 'tail' ? null : picked })}
            options={[
              { value: 'tail', label: 'Live tail' },
              { value: 'search', label: 'Search' },
            ]}
          />
          {mode === 'search' && (
            <RangePicker range={range} span={span} onPick={(picked) => change(writeRange(picked, DEFAULT))} />
          )}
        </>
      }
    >
      <IdSearch />
      <FilterForm key={JSON.stringify(filter)} filter={filter} onFilter={change} />
      {mode === 'tail' ? (
        <Tail filter={filter} />
      ) : (
        <Found
          key={JSON.stringify([filter, range])}
          filter={{ ...filter, start_time: iso(span.start), end_time: iso(span.end) }}
        />
      )}
    </Page>
  );
}

function IdSearch() {
  const [id, setId] = useState('');
  const [wrong, setWrong] = useState(false);
  const [, navigate] = useLocation();
  return (
    <form
      role="search"
      className={css.id}
      onSubmit={(event) => {
        event.preventDefault();
        const asked = id.trim();
        if (UUID.test(asked)) navigate(`/events/${asked.toLowerCase()}`);
        else setWrong(true);
      }}
    >
      <TextField
        label="Find one event by its id"
        quiet
        type="search"
        placeholder="Event id, e.g. 1ec762d4-93b7-5f96-bff0-2d9429c4a055"
        value={id}
        onChange={(e) => {
          setId(e.target.value);
          setWrong(false);
        }}
        error={wrong ? 'An id is a UUID: 32 hexadecimal digits.' : null}
        spellCheck={false}
        className={css.grow}
      />
      <Button type="submit" look="primary" icon={<Search aria-hidden="true" />}>
        Find
      </Button>
    </form>
  );
}

interface FilterFormProps {
  filter: Readonly<Record<string, string | null>>;
  onFilter: (patch: Record<string, string | null>) => void;
}

function FilterForm({ filter, onFilter }: FilterFormProps) {
  const [draft, setDraft] = useState<Record<string, string>>(
    Object.fromEntries(TEXTS.map(({ name }) => [name, filter[name] ?? ''])),
  );
  const active = Object.values(filter).filter(Boolean).length;
  const types = [
    { value: '', label: 'All types' },
    ...EVENT_TYPES.map((t) => ({ value: t as string, label: typeWords(t) })),
  ];
  return (
    <details className={css.filter} open={active > 0}>
      <summary>{active === 0 ? 'Filter' : `Filter: ${plural(active, 'condition')}`}</summary>
      <form
        className={css.fields}
        onSubmit={(event) => {
          event.preventDefault();
          onFilter(Object.fromEntries(TEXTS.map(({ name }) => [name, draft[name]?.trim() || null])));
        }}
      >
        <Select
          label="Type"
          options={types}
          value={filter.event_type ?? ''}
          onPick={(event_type) => onFilter({ event_type })}
        />
        {TEXTS.map(({ name, label }) => (
          <TextField
            key={name}
            label={label}
            value={draft[name] ?? ''}
            inputMode={name === 'campaign_id' ? 'numeric' : undefined}
            onChange={(e) => setDraft({ ...draft, [name]: e.target.value })}
          />
        ))}
        <div className={css.apply}>
          <Button type="submit">Apply</Button>
          {active > 0 && (
            <Button
              look="ghost"
              onClick={() =>
                onFilter(
                  Object.fromEntries(['event_type', ...TEXTS.map((t) => t.name)].map((name) => [name, null])),
                )
              }
            >
              Clear
            </Button>
          )}
        </div>
      </form>
    </details>
  );
}

function Tail({ filter }: { filter: Record<string, string | null> }) {
  const [live, setLive] = useState(true);
  const query = useTail(filter, live);
  const rows = query.data?.result;
  return (
    <Card
      title="Newest events"
      note={live ? 'The newest 50 of the last 15 minutes, once a second' : 'Paused'}
      flush
      actions={
        <Button
          small
          icon={live ? <Pause aria-hidden="true" /> : <Play aria-hidden="true" />}
          onClick={() => setLive(!live)}
        >
          {live ? 'Pause' : 'Go on'}
        </Button>
      }
    >
      {rows === undefined ? (
        query.isError ? (
          <Failed error={query.error} what="The events" retry={() => void query.refetch()} />
        ) : (
          <div className={css.pad}>
            <Skeleton what="the events" lines={8} />
          </div>
        )
      ) : rows.length === 0 ? (
        <Empty title="No event in the last 15 minutes">
          Post one to the sidecar, or run <code>penstock simulate</code>.
        </Empty>
      ) : (
        <>
          {query.isError && <p className={css.error}>{errorWords(query.error)}</p>}
          <EventTable events={rows} />
        </>
      )}
    </Card>
  );
}

function Found({ filter }: { filter: Record<string, string | null> }) {
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const query = useEvents({ ...filter, cursor: cursors.at(-1) ?? null }, true);
  const rows = query.data?.result;
  return (
    <Card title="Events found" note="Newest first, by the event’s own time" flush>
      {query.isError ? (
        <Failed error={query.error} what="The events" retry={() => void query.refetch()} />
      ) : rows === undefined ? (
        <div className={css.pad}>
          <Skeleton what="the events" lines={8} />
        </div>
      ) : rows.length === 0 ? (
        <Empty title="No event fits">Choose a longer range or take a condition away.</Empty>
      ) : (
        <>
          <EventTable events={rows} />
          <Pager next={query.data?.next_cursor ?? null} cursors={cursors} onCursors={setCursors} />
        </>
      )}
    </Card>
  );
}
