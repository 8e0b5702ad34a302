-- What a token was before it was given another text, and until when that one goes on.
alter table howdah.token add column old_hash bytea unique, add column old_until timestamptz,
  add check ((old_hash is null) = (old_until is null));
