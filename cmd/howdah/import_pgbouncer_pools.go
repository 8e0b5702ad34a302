package main

import (
	"crypto/rand"
	"fmt"
	"slices"

	"howdah/tenants"
)

// unknownVerifier is of a password that is thrown away.
func (t *bouncerTranslation) unknownVerifier() string {
	if t.salt != nil {
		return t.newVerifier("thrown away")
	}
	return t.newVerifier(rand.Text())
}

// keepPostgres keeps the database postgres where "*" had it. Without this the
// user of a tenant on another cluster would be led to that cluster's.
func (t *bouncerTranslation) keepPostgres() {
	var all *tomlTable
	elsewhere := false
	for i := range t.tenants {
		x := &t.tenants[i]
		switch {
		case x.leftOut:
		case x.value("name") == tenants.Shared:
			return
		case x.value("name") == tenants.Fallback:
			all = x
		}
	}
	if all == nil {
		t.notePostgres()
		return
	}
	for i := range t.tenants {
		x := &t.tenants[i]
		elsewhere = elsewhere || !x.leftOut && x.value("cluster") != all.value("cluster")
	}
	if !elsewhere {
		return
	}
	d := &bouncerDatabase{iniEntry: iniEntry{key: tenants.Shared}, tenant: tomlTable{in: sectionTenant}}
	x := &d.tenant
	x.note(`The database postgres is where "*" had it for everybody. Without this Howdah would lead a tenant's user to the postgres of the tenant's own cluster.`)
	x.add("name", tenants.Shared, "")
	t.owner(d)
	for _, k := range all.keys {
		if k.name != "name" {
			x.add(k.name, k.value, k.from)
		}
	}
	t.tenants = append(t.tenants, *x)
}

// notePostgres says what comes with having no "*".
func (t *bouncerTranslation) notePostgres() {
	for i := range t.tenants {
		if x := &t.tenants[i]; !x.leftOut {
			x.note("No line has the database postgres, which PgBouncer refused. Howdah leads the users of tenants to that of their cluster, as Odoo and other applications need; PostgreSQL says whether they may enter: REVOKE CONNECT ON DATABASE postgres.")
			return
		}
	}
}

// fitPools lowers each min_pool_size to its pool_size, as PgBouncer does when it
// counts, and Howdah refuses to read the contrary.
func (t *bouncerTranslation) fitPools() {
	t.fitPool(&t.defaults)
	for i := range t.tenants {
		if x := &t.tenants[i]; x.value("pool_size") != nil || x.value("min_pool_size") != nil {
			t.fitPool(x)
		}
	}
}

func (t *bouncerTranslation) fitPool(x *tomlTable) {
	get := func(name string) (n int64) {
		for _, from := range []any{x.value(name), t.defaults.value(name), settingRow(sectionLimits, name).initial} {
			if n, ok := from.(int64); ok {
				return n
			}
		}
		return 0
	}
	if most, least := get("pool_size"), get("min_pool_size"); least > most {
		from := "as in [defaults]"
		if i := slices.IndexFunc(x.keys, func(k tomlKey) bool { return k.name == "min_pool_size" }); i >= 0 {
			from = x.keys[i].from
		}
		x.add("min_pool_size", most, fmt.Sprintf("%s: %d, which goes no further than the pool's size", from, least))
	}
}
