package router

import "howdah/wire"

// taint is what is known of a database's own code: whether functions or
// extensions in it may leave state in a session that no statement's text tells
// of. Where they may, every transaction that may have run any of them is
// followed by a look at the server; elsewhere texts suffice, and nothing is
// asked.
type taint struct {
	known, asking, tainted bool
}

// taintText asks for functions that do not come with PostgreSQL (whose OIDs are below
// 16384) or an extension and have a body that names what outlives a transaction, or that
// nobody can read; and for extensions that are not known to keep nothing. It is asked in a
// session that has nothing cached: the operator ~ in place of regexp_match would take
// twice as long as all the rest, to guess how many rows it finds.
const taintText = `select exists(select from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
  where p.oid >= 16384 and not exists(select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e')
  and (l.lanname not in ('sql', 'plpgsql') or l.lanname = 'sql' and p.prosrc = ''
    or pg_catalog.regexp_match(p.prosrc, '\m(set_config|temp|temporary|pg_temp|pg_(try_)?advisory_lock(_shared)?|prepare|listen|declare|load|dblink_connect|currval|lastval|setseed|execute)\M', 'i') is not null
    or pg_catalog.regexp_match(p.prosrc, '(^|;|\mbegin|\mthen|\melse|\mloop)\s*(set|reset|discard)\s', 'i') is not null))::int
  | exists(select from pg_catalog.pg_extension where extname <> all ('{plpgsql,pg_trgm,unaccent,uuid-ossp,pgcrypto,btree_gin,btree_gist,hstore,citext,
    intarray,ltree,pg_stat_statements,tablefunc,fuzzystrmatch,cube,earthdistance,isn,lo,seg,vector,postgis,pg_buffercache,pgstattuple,dblink,
    postgres_fdw,file_fdw,dict_int,dict_xsyn,bloom,amcheck,pageinspect,pgrowlocks,pg_prewarm,pg_freespacemap,pg_visibility,tsm_system_rows,
    tsm_system_time,sslinfo,adminpack}'))::int`

const taintName = ownPrefix + "taint"

// unknownTaint reports whether the database must be asked for its taint.
func (s *session) unknownTaint() bool {
	return s.taint != nil && !s.taint.known && !s.taint.asking
}

// askTaint asks for it, at the end of a transaction.
func (s *session) askTaint() {
	first := len(s.queue.entries)
	s.taint.asking = true
	s.asked.done, s.asked.touched, s.asked.taint = s.done&acts, nil, true
	if s.done &^= acts; s.pins == 0 {
		s.done = 0 // or the rest waits for the pin's end
	}
	s.ask(lookTaint, helperTaint, taintName, taintText)
	s.endLook(first)
}

// onlyAsksTaint reports whether the server could be lost, and the client would
// not miss it.
func (s *session) onlyAsksTaint() bool {
	return s.asked.taint && !s.piped && s.status == wire.TxIdle && s.pins == 0 && s.done == 0 && len(s.touched) == 0 && !s.barrier
}

// dropLook forgets a look that will not be answered.
func (s *session) dropLook() {
	for !s.queue.empty() {
		e := s.queue.pop()
		s.settle(&e)
	}
	s.asked, s.open = asked{}, false
	s.taint.asking = false
}

// actsOnTaint has a transaction that may have run code of a tainted database
// looked after as if its texts had said what that code does.
func (s *session) actsOnTaint(done effect) effect {
	if s.taint == nil || !s.taint.tainted || done&acts == 0 {
		return done
	}
	return done | mayKeep | mayFree | maySet | maySetAny
}

// codeChanges reports whether a command with this tag may change what code the
// database has.
func codeChanges(tag []byte) bool {
	switch string(tag) {
	case "CREATE FUNCTION", "CREATE PROCEDURE", "CREATE EXTENSION", "CREATE LANGUAGE", "CREATE TRIGGER", "CREATE RULE",
		"ALTER FUNCTION", "ALTER PROCEDURE", "ALTER EXTENSION", "DROP FUNCTION", "DROP PROCEDURE", "DROP EXTENSION", "DROP SCHEMA", "DO", "CALL":
		return true
	}
	return false
}

// harmless reports whether a word in front of a bracket calls no code of the
// database.
func harmless(word token) bool {
	var buf [maxWord]byte
	switch string(lowered(word.text, &buf)) {
	case "in", "and", "or", "not", "exists", "any", "all", "some", "as", "from",
		"join", "on", "using", "values", "over", "filter", "count", "sum", "min", "max",
		"avg", "coalesce", "nullif", "greatest", "least", "now", "lower", "upper", "length", "cast",
		"extract", "substring", "trim", "row", "array", "current_setting", "to_char", "date_trunc", "json_agg", "string_agg",
		"array_agg", "unnest", "generate_series", "pg_is_in_recovery", "select", "where", "when", "then", "else", "case",
		"by", "interval", "numeric", "varchar", "char", "timestamp", "decimal":
		return true
	}
	return false
}
