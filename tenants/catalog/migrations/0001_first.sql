create table howdah.catalog (
  one boolean primary key default true check (one),
  revision bigint not null default 0,
  stamp uuid not null default gen_random_uuid(), -- another one with each revision
  review text -- why nothing is run until an operator has looked; null for no reason
);
insert into howdah.catalog default values;

create table howdah.entry (
  kind text not null check (kind in ('cluster', 'tier', 'tenant', 'user')),
  name text not null check (octet_length(name) between 1 and 63),
  id uuid not null unique default gen_random_uuid(),
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  revision bigint not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  primary key (kind, name)
);

-- Tenants that were dropped and can be brought back.
create table howdah.dropped (
  operation uuid primary key, -- that has dropped it: the database's name has it
  id uuid not null,
  name text not null,
  settings jsonb not null,
  verifier text not null, -- of its user
  oid oid not null, -- of the database
  dropped_at timestamptz not null default now(),
  purge_at timestamptz not null
);
create index on howdah.dropped (name);

create table howdah.operation (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  tenant text not null,
  parameters jsonb not null default '{}',
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled', 'attention')),
  cancel boolean not null default false, -- somebody wants it cancelled
  step text not null default '',
  step_begun boolean not null default false, -- it may have happened, in whole or in part
  done int not null default 0, -- steps
  total int not null default 0,
  attempts int not null default 0,
  error text not null default '',
  result jsonb not null default '{}',
  node text not null default '',
  lease_until timestamptz,
  actor text not null,
  -- Which taking of the operation runs it: a node that has lost it may get it again, and
  -- must know the one from the other.
  turn bigint not null default 0,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);
create unique index operation_of_tenant on howdah.operation (tenant) where state in ('queued', 'running', 'attention');
create index on howdah.operation (created_at);

create table howdah.token (
  id uuid primary key default gen_random_uuid(),
  name text not null unique,
  role text not null check (role in ('viewer', 'operator', 'admin', 'tenant')),
  tenant text check ((tenant is not null) = (role = 'tenant')),
  hash bytea not null unique, -- SHA-256 of the token, which has 256 random bits
  created_at timestamptz not null default now(),
  expires_at timestamptz
);

-- Answers to requests that may be repeated. Each is sealed with a secret of its client.
create table howdah.idempotency (
  token text not null, -- whose key it is
  key text not null,
  request bytea not null, -- a hash
  answer bytea not null,
  at timestamptz not null default now(),
  primary key (token, key)
);

create table howdah.audit (
  seq bigint primary key,
  at timestamptz not null,
  record jsonb not null,
  previous bytea not null,
  hash bytea not null
);
create function howdah.refuse() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is only appended to';
end $$;
create trigger append_only before update or delete or truncate on howdah.audit execute function howdah.refuse();
