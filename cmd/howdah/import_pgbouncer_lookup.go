package main

import "slices"

// Of looking users up: PgBouncer has it for all databases or on a database's
// line, Howdah for a cluster.

// lookUpSettings have the same names and values in both.
var lookUpSettings = []string{"auth_user", "auth_query", "auth_dbname"}

// lookUpUsers gives a cluster what [pgbouncer] says.
func (t *bouncerTranslation) lookUpUsers(c *tomlTable) {
	for _, name := range lookUpSettings {
		if value, from, ok := t.given(name, ""); ok && value != "" {
			c.add(name, value, from)
		}
	}
}

// lookUpUsersOf does the same for what the line of a database on that cluster
// says.
func (t *bouncerTranslation) lookUpUsersOf(d *bouncerDatabase, c *tomlTable) {
	for _, p := range d.lookUps {
		switch value := c.value(p.key); {
		case p.value == "" || value == p.value:
		case value == nil:
			c.add(p.key, p.value, d.at()+": "+p.key+", which is for the whole cluster here")
		default:
			d.tenant.note("%s: %s=%s: a cluster of Howdah has one %s, and this one's is %q.", d.at(), p.key, p.value, p.key, value)
		}
	}
}

// asks reports whether the cluster of that name is asked about users who are no
// [[user]].
func (t *bouncerTranslation) asks(cluster any) bool {
	return slices.ContainsFunc(t.clusters, func(c tomlTable) bool {
		return c.value("name") == cluster && c.value("auth_user") != nil
	})
}

// explainLookUp says once what the operator has to see to, when all lines are read.
func (t *bouncerTranslation) explainLookUp() {
	explained, where := map[any]bool{}, false
	for i := range t.clusters {
		c := &t.clusters[i]
		user := c.value("auth_user")
		if user == nil {
			c.remove("auth_query", "auth_dbname")
			continue
		}
		if !explained[user] {
			explained[user] = true
			c.note("Howdah logs in as auth_user %q with what server_secret_file of its [[user]] holds, unless its cluster trusts it: put its password into a file that nobody else can read.", user)
		}
		if !where && c.value("auth_query") != nil && c.value("auth_dbname") == nil {
			where = true
			c.note("PgBouncer asked auth_query in each client's own database; Howdah asks in auth_dbname alone, which is postgres, with a search_path of pg_catalog: what the query calls must be there, and be named with its schema.")
		}
	}
	for _, name := range lookUpSettings {
		e, ok := t.settings[name]
		if ok && !slices.ContainsFunc(t.clusters, func(c tomlTable) bool { return c.value(name) != nil }) {
			t.without(e, "without an auth_user nobody is looked up", false)
		}
	}
}
