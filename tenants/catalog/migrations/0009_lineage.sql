-- Which database a tenant had from when on: what could not be stored beside the backups yet.
create table howdah.lineage (
  seq bigint primary key generated always as identity,
  cluster text not null,
  record jsonb not null,
  at timestamptz not null default now()
);
