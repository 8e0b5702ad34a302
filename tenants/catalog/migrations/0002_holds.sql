-- Processes that share the catalog.
create table howdah.node (
  name text primary key,
  version text not null,
  started_at timestamptz not null default now(),
  lease_until timestamptz not null
);

-- Operations that have clients of tenants wait, on all nodes.
create table howdah.hold (
  operation uuid primary key,
  epoch bigint generated always as identity, -- another one each time
  tenants text[] not null,
  until timestamptz not null -- unless it is made to last longer
);

-- Nodes of which nothing is in the database any more.
create table howdah.held (
  operation uuid not null references howdah.hold on delete cascade,
  epoch bigint not null,
  node text not null,
  primary key (operation, node)
);
