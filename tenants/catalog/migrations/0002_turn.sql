-- Which taking of the operation runs it: a node that has lost it may get it again, and
-- must know the one from the other.
alter table howdah.operation add turn bigint not null default 0;
