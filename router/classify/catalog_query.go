package classify

// CatalogQuery reads what a Catalog is made of: rows of a Kind (as text), a name and
// whether it is safe. Its parameters are a boolean, true for what comes with
// PostgreSQL and false for the database's own, and PrimaryPattern().
//
// What is not safe to begin with are volatile functions, names that PrimaryPattern
// fits, and relations that a standby does not have or has otherwise. Everything
// that may call them without naming them is not safe either: aggregates and
// operators by their functions, functions by the defaults of their parameters and by
// the types of these, to which arguments are cast, types by their input and output,
// views by their query, tables by their policies, their columns' types and their
// partitions. What the stored expressions name is read from their trees, since
// dependencies on what comes with PostgreSQL are not recorded.
//
// Casts and the operator classes that sorting and grouping use are called without any
// name. They make the types not safe that they are for, and so whatever has values of
// these. Where such a type comes with PostgreSQL, which a literal can be of, nothing in
// the database is safe.
const CatalogQuery = `
with recursive
tree (kind, oid, expression) as materialized (
	select 'r', r.ev_class, r.ev_action::text
	from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind = 'v'
	where r.ev_type = '1'
	union all
	select 'r', polrelid, polqual::text from pg_catalog.pg_policy
	union all
	select 'f', oid, proargdefaults::text from pg_catalog.pg_proc where proargdefaults is not null
	union all
	select 't', contypid, conbin::text from pg_catalog.pg_constraint where contypid <> 0
),
ordered (family) as (
	select f.oid from pg_catalog.pg_opfamily f join pg_catalog.pg_am m on m.oid = f.opfmethod and m.amname in ('btree', 'hash')
),
uses (kind, oid, used_kind, used) as materialized (
	select t.kind, t.oid,
		case when m[1] in ('opno', 'opnos', 'eqop', 'sortop') then 'o' when m[1] = 'relid' then 'r' when m[1] ~ 'typ' then 't' else 'f' end,
		used::oid
	from tree t, pg_catalog.regexp_matches(t.expression,
		':(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|opnos?|eqop|sortop|relid|consttype|resulttype|funcresulttype|opresulttype|element_typeid|typid|(?:func)?coltypes) (?:\(o )?(\d+(?: \d+)*)', 'g') m,
		unnest(pg_catalog.string_to_array(m[2], ' ')) used
	where m[1] !~ 'typ' or used::oid >= 16384
	union
	select 'f', a.aggfnoid::oid, 'f', f from pg_catalog.pg_aggregate a, unnest(array[aggtransfn, aggfinalfn, aggcombinefn,
		aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[]) f
	union
	select 'f', aggfnoid::oid, 't', t from pg_catalog.pg_aggregate, unnest(array[aggtranstype, aggmtranstype]) t where t >= 16384
	union
	select 'f', oid, 't', t from pg_catalog.pg_proc, unnest(coalesce(proallargtypes, proargtypes::oid[]) || prorettype) t where t >= 16384
	union
	select 'o', oid, 'f', oprcode::oid from pg_catalog.pg_operator
	union
	select 'o', oid, 'o', o from pg_catalog.pg_operator, unnest(array[oprcom, oprnegate]) o
	union
	select 't', oid, 'f', f from pg_catalog.pg_type, unnest(array[typinput, typoutput, typreceive, typsend, typmodin, typmodout]::oid[]) f
	union
	select 't', oid, 't', t from pg_catalog.pg_type, unnest(array[typelem, typbasetype]) t
	union
	select 't', rngtypid, 'f', f from pg_catalog.pg_range, unnest(array[rngcanonical, rngsubdiff]::oid[]) f
	union
	select 't', rngtypid, 't', rngsubtype from pg_catalog.pg_range
	union
	select 't', objid, 't', refobjid from pg_catalog.pg_depend -- a multirange its range
	where classid = 'pg_catalog.pg_type'::regclass and refclassid = classid and deptype = 'i'
	union
	select 't', t.oid, 't', a.atttypid
	from pg_catalog.pg_type t join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
	where t.typtype = 'c'
	union
	select 'r', oid, 't', reltype from pg_catalog.pg_class where relkind in ('r', 'p', 'm', 'v') and reltype >= 16384
	union
	select 't', case when own >= 16384 then own else other end, kind, used
	from (
		select castsource, casttarget, 'f', castfunc from pg_catalog.pg_cast
		union all
		select amproclefttype, amprocrighttype, 'f', amproc::oid
		from pg_catalog.pg_amproc join ordered on family = amprocfamily
		union all
		select amoplefttype, amoprighttype, 'o', amopopr
		from pg_catalog.pg_amop join ordered on family = amopfamily
	) unnamed (own, other, kind, used)
	where not $1
	union
	select 'r', inhparent, 'r', inhrelid from pg_catalog.pg_inherits
),
unsafe (kind, oid) as (
	select 'f', oid from pg_catalog.pg_proc
	where provolatile = 'v' and not (oid < 16384 and proname in ('pg_sleep', 'pg_sleep_for', 'pg_sleep_until'))
		or proname ~ $2 and prokind <> 'w'
	union
	select 'r', oid from pg_catalog.pg_class where relkind in ('f', 'S') or relpersistence <> 'p' or relname ~ $2
	union
	select u.kind, u.oid from uses u join pg_catalog.pg_proc p on p.oid = u.used and p.proname ~ '^(domain|array|record|range|multirange)_in$'
	where u.kind = 'r' and u.used_kind = 'f'
	union
	select u.kind, u.oid from uses u join unsafe b on b.kind = u.used_kind and b.oid = u.used
),
object (kind, oid, name) as (
	select 'f', oid, proname from pg_catalog.pg_proc where prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
	union all
	select 'o', oid, oprname from pg_catalog.pg_operator
	union all
	select 't', t.oid, t.typname from pg_catalog.pg_type t left join pg_catalog.pg_class c on c.oid = t.typrelid
	where t.typtype <> 'p' and t.typcategory <> 'A' and coalesce(c.relkind, 'c') = 'c'
	union all
	select 'r', c.oid, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
	where c.relkind in ('r', 'p', 'm', 'v', 'f', 'S') and n.nspname !~ '^pg_(toast|temp)'
)
select o.kind, o.name::text, bool_and(u.oid is null)
from object o left join unsafe u on u.kind = o.kind and u.oid = o.oid
where (o.oid < 16384) = $1
group by o.kind, o.name
union all
select case when t.typtype in ('c', 'd', 'p') then 'a' else 'v' end, p.proname::text, false
from unsafe u join pg_catalog.pg_proc p on p.oid = u.oid join pg_catalog.pg_type t on t.oid = p.proargtypes[0]
where u.kind = 'f' and (p.oid < 16384) = $1 and p.prokind = 'f' and p.pronargs > 0 and p.pronargs - p.pronargdefaults <= 1
	and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype, 'cstring'::regtype)
	and t.oid not in ('internal'::regtype, 'cstring'::regtype)
union all
select 'd', '', false
where not $1 and exists (select from unsafe where kind = 't' and oid < 16384)
`
