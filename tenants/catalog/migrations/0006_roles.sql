-- What tenants' roles have set in the tenants' databases, as far as Howdah has done it.
create table howdah.role (
  tenant uuid primary key,
  wanted jsonb not null, -- by the setting's name
  given jsonb not null, -- by the setting's name, the values that it may have: others are somebody else's
  done boolean not null,
  turn bigint -- another one each time that it has been done: servers that were open before do not have it
);
create sequence howdah.role_turn;
create index on howdah.role (turn);
