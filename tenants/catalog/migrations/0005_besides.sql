-- Other tenants that an operation needs to be left alone.
alter table howdah.operation add column besides text[] not null default '{}';
