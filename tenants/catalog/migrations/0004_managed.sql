-- Of a dropped tenant's user all is kept, since it may be managed.
alter table howdah.dropped add user_settings jsonb;
update howdah.dropped set user_settings = jsonb_build_object('verifier', verifier);
alter table howdah.dropped alter user_settings set not null, drop verifier;
