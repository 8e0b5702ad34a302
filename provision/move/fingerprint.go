package move

import (
	"context"
	"fmt"
)

// fingerprintQuery makes one value of all definitions in a database that are somebody's
// own. A row of a catalog is known by the transaction that made it; one of pg_class by
// what it says, for TRUNCATE and REINDEX write it anew. Temporary tables come and go.
const fingerprintQuery = `
WITH spaces AS (
	SELECT oid, nspname, nspacl, nspowner FROM pg_namespace
	WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), relations AS (
	SELECT c.* FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace WHERE relpersistence <> 't'
), lines(line) AS (
	SELECT format('space %s %s %s %s', oid, nspname, nspowner, nspacl) FROM spaces
	UNION ALL SELECT format('relation %s %s %s %s %s %s %s %s %s %s %s', oid, relname, relnamespace, relowner, relkind, relpersistence,
		relreplident, relrowsecurity, relforcerowsecurity, relacl, reloptions) || coalesce(relpartbound::text, '') FROM relations
	UNION ALL SELECT format('column %s %s %s', attrelid, attnum, a.xmin) FROM pg_attribute a JOIN relations r ON r.oid = attrelid
	UNION ALL SELECT format('default %s %s', a.oid, a.xmin) FROM pg_attrdef a JOIN relations r ON r.oid = adrelid
	UNION ALL SELECT format('constraint %s %s', c.oid, c.xmin) FROM pg_constraint c JOIN spaces s ON s.oid = connamespace
	UNION ALL SELECT format('index %s %s %s', indexrelid, indkey, pg_get_indexdef(indexrelid)) FROM pg_index i JOIN relations r ON r.oid = indrelid
	UNION ALL SELECT format('trigger %s %s', t.oid, t.xmin) FROM pg_trigger t JOIN relations r ON r.oid = tgrelid
	UNION ALL SELECT format('rule %s %s', w.oid, w.xmin) FROM pg_rewrite w JOIN relations r ON r.oid = ev_class
	UNION ALL SELECT format('policy %s %s', p.oid, p.xmin) FROM pg_policy p JOIN relations r ON r.oid = polrelid
	UNION ALL SELECT format('parent %s %s %s', inhrelid, inhparent, i.xmin) FROM pg_inherits i JOIN relations r ON r.oid = inhrelid
	UNION ALL SELECT format('sequence %s %s', seqrelid, q.xmin) FROM pg_sequence q JOIN relations r ON r.oid = seqrelid
	UNION ALL SELECT format('statistics %s %s', t.oid, t.xmin) FROM pg_statistic_ext t JOIN relations r ON r.oid = stxrelid
	UNION ALL SELECT format('function %s %s', p.oid, p.xmin) FROM pg_proc p JOIN spaces s ON s.oid = pronamespace
	UNION ALL SELECT format('type %s %s', t.oid, t.xmin) FROM pg_type t JOIN spaces s ON s.oid = typnamespace
		WHERE typtype <> 'c' AND (typrelid = 0 OR typrelid IN (SELECT oid FROM relations))
	UNION ALL SELECT format('value %s %s', e.oid, e.xmin) FROM pg_enum e
	UNION ALL SELECT format('operator %s %s', o.oid, o.xmin) FROM pg_operator o JOIN spaces s ON s.oid = oprnamespace
	UNION ALL SELECT format('class %s %s', o.oid, o.xmin) FROM pg_opclass o JOIN spaces s ON s.oid = opcnamespace
	UNION ALL SELECT format('collation %s %s', c.oid, c.xmin) FROM pg_collation c JOIN spaces s ON s.oid = collnamespace
	UNION ALL SELECT format('conversion %s %s', c.oid, c.xmin) FROM pg_conversion c JOIN spaces s ON s.oid = connamespace
	UNION ALL SELECT format('dictionary %s %s', d.oid, d.xmin) FROM pg_ts_dict d JOIN spaces s ON s.oid = dictnamespace
	UNION ALL SELECT format('search %s %s', c.oid, c.xmin) FROM pg_ts_config c JOIN spaces s ON s.oid = cfgnamespace
	UNION ALL SELECT format('search map %s %s %s', mapcfg, maptokentype, m.xmin) FROM pg_ts_config_map m WHERE mapcfg >= 16384
	UNION ALL SELECT format('cast %s %s', oid, xmin) FROM pg_cast WHERE oid >= 16384
	UNION ALL SELECT format('extension %s %s', oid, xmin) FROM pg_extension WHERE oid >= 16384
	UNION ALL SELECT format('rights %s %s', oid, xmin) FROM pg_default_acl
	UNION ALL SELECT format('comment %s %s %s %s', classoid, objoid, objsubid, xmin) FROM pg_description
		WHERE objoid >= 16384 AND classoid <> 'pg_publication'::regclass
)
SELECT md5(coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), '')) FROM lines`

// fingerprint is the same for as long as nobody changes a definition.
func fingerprint(ctx context.Context, q querier) (print string, err error) {
	if err = q.QueryRow(ctx, fingerprintQuery).Scan(&print); err != nil {
		err = fmt.Errorf("read definitions: %w", err)
	}
	return print, err
}
