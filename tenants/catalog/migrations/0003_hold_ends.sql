-- The operation has done what clients were held for: they go on when all nodes that have
-- sessions that listen do so again.
alter table howdah.hold add column ending boolean not null default false;
