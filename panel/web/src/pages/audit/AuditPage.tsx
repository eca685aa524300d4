/** Every change that somebody made, newest first. */

import { useState } from 'react';
import { useAudit } from '../../api/campaigns.ts';
import { useParams } from '../../lib/url.ts';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { TextField } from '../../ui/Field.tsx';
import { Page } from '../../ui/Page.tsx';
import { Pager } from '../../ui/Pager.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import css from './AuditPage.module.css';
import { AuditTable } from './AuditTable.tsx';

const FIELDS = [
  { name: 'who', label: 'Who' },
  { name: 'action', label: 'Action, e.g. stop' },
  { name: 'subject', label: 'What, e.g. campaign 7' },
] as const;

export default function AuditPage() {
  const [params, change] = useParams();
  const filter: Record<string, string> = {};
  for (const { name } of FIELDS) {
    const value = params.get(name);
    if (value) filter[name] = value;
  }
  const key = JSON.stringify(filter);
  return (
    <Page title="Audit" note="Who changed what, and why">
      <FilterForm key={`form${key}`} filter={filter} onFilter={change} />
      <Entries key={key} filter={filter} />
    </Page>
  );
}

interface FilterFormProps {
  filter: Readonly<Record<string, string>>;
  onFilter: (patch: Record<string, string | null>) => void;
}

function FilterForm({ filter, onFilter }: FilterFormProps) {
  const [draft, setDraft] = useState<Record<string, string>>(filter);
  return (
    <form
      className={css.form}
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        onFilter(Object.fromEntries(FIELDS.map(({ name }) => [name, draft[name]?.trim() || null])));
      }}
    >
      {FIELDS.map(({ name, label }) => (
        <TextField
          key={name}
          label={label}
          quiet
          placeholder={label}
          value={draft[name] ?? ''}
          onChange={(e) => setDraft({ ...draft, [name]: e.target.value })}
        />
      ))}
      <Button type="submit">Filter</Button>
    </form>
  );
}

function Entries({ filter }: { filter: Record<string, string> }) {
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const query = useAudit(filter, cursors.at(-1) ?? null);
  const entries = query.data?.result;
  return (
    <Card flush>
      {query.isError ? (
        <Failed error={query.error} what="The audit" retry={() => void query.refetch()} />
      ) : entries === undefined ? (
        <div className={css.pad}>
          <Skeleton what="the audit" lines={8} />
        </div>
      ) : entries.length === 0 ? (
        <Empty title="No change is recorded">Stops, budgets, imports and sign-ins will be listed here.</Empty>
      ) : (
        <>
          <AuditTable entries={entries} />
          <Pager next={query.data?.next_cursor ?? null} cursors={cursors} onCursors={setCursors} />
        </>
      )}
    </Card>
  );
}
