-- The newest operations of one tenant, among many.
create index on howdah.operation (tenant, created_at desc, id);
-- A dropped tenant's user may live on as another tenant's, and get another password.
alter table howdah.dropped add user_id uuid;
