package main

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"howdah/tenants"
)

// bouncerDatabaseSettings are what a line of [databases] may have.
func bouncerDatabaseSettings() []bouncerSetting {
	const role = "Howdah sets nothing of its own on a server: ALTER DATABASE or ALTER ROLE … SET does it in PostgreSQL"
	return []bouncerSetting{
		{name: "host", own: true},
		{name: "port", kind: kindCount, own: true},
		{name: "dbname", own: true},
		{name: "user", own: true},
		{name: "password", own: true, secret: true},
		{name: "pool_mode", kind: kindWord, in: sectionLimits, as: "pool_mode"},
		{name: "pool_size", kind: kindCount, in: sectionLimits, as: "pool_size"},
		{name: "min_pool_size", kind: kindCount, in: sectionLimits, as: "min_pool_size"},
		{name: "reserve_pool_size", kind: kindCount, in: sectionLimits, as: "reserve_pool_size"},
		{name: "reserve_pool", kind: kindCount, in: sectionLimits, as: "reserve_pool_size"},
		{name: "max_db_client_connections", kind: kindCount, in: sectionLimits, as: "max_client_conn"},
		{name: "max_db_connections", kind: kindCount, in: sectionLimits, as: "max_db_connections"},
		{name: "query_wait_timeout", kind: kindSeconds, in: sectionLimits, as: "query_wait_timeout"},
		{name: "server_lifetime", kind: kindSeconds, in: sectionLimits, as: "server_lifetime", zero: briefly, why: "0 was one use only; Howdah's 0 is no limit"},
		{name: "load_balance_hosts", kind: kindWord, why: "all work goes to the first member in this version of Howdah; a cluster's members are one primary and its standbys"},
		{name: "connect_query", why: role},
		{name: "client_encoding", why: role},
		{name: "datestyle", why: role},
		{name: "timezone", why: role},
		{name: "application_name", why: role},
		{name: "auth_user", own: true},
		{name: "auth_query", own: true},
		{name: "auth_dbname", own: true},
	}
}

// bouncerDatabase is a line of [databases] on the way to a tenant.
type bouncerDatabase struct {
	iniEntry
	host, dbname   string
	port           int64
	user, password string
	lookUps        []connPair // of auth_user and its like
	tenant, limits tomlTable  // who and where; how much
}

// translateDatabases does [databases]: clusters, tenants, and users that only a
// database's line has.
func (t *bouncerTranslation) translateDatabases() {
	if len(t.databases) == 0 && len(t.mistakes) == 0 {
		t.wrong(t.path, 0, "write a line such as acme = host=127.0.0.1", "[databases] has no database: there is nothing to pool")
		return
	}
	var all []*bouncerDatabase
	for _, e := range t.databases {
		if d := t.readDatabase(e); d != nil {
			all = append(all, d)
		}
	}
	for _, d := range all {
		if d.user != "" && d.password != "" && t.user(d.user) == nil {
			t.addUser(d.iniEntry, d.user, d.password)
			t.users[len(t.users)-1].note("%s: the password of %q stood in the line of a database alone, so PgBouncer let no client log in as it. Remove this user if none should.", d.at(), d.user)
		}
	}
	addresses := make(map[string]int) // of clusters: by their members
	for _, d := range all {
		t.addTenant(d, addresses)
	}
	if !slices.ContainsFunc(t.tenants, func(x tomlTable) bool { return !x.leftOut }) && len(t.mistakes) == 0 {
		t.wrong(t.path, 0, "give one an address and a name of its own", "Howdah can have none of the databases: they are the console's name, sockets in the abstract namespace, or a \"*\" with dbname")
	}
	t.keepPostgres()
	t.explainLookUp()
}

// readDatabase reads a line; nil if it is wrong.
func (t *bouncerTranslation) readDatabase(e iniEntry) *bouncerDatabase {
	pairs, err := t.pairs(e)
	if err != nil {
		return nil
	}
	d := &bouncerDatabase{iniEntry: e, port: 5432, tenant: tomlTable{in: sectionTenant}}
	d.tenant.add("name", e.key, e.at())
	table := bouncerDatabaseSettings()
	var without leftOver
	for _, p := range pairs {
		s := bouncerSettingOf(table, p.key)
		switch {
		case s == nil:
			t.unknownPair(e, p, table)
		case p.key == "host":
			d.host = p.value
		case p.key == "port":
			if d.port, err = strconv.ParseInt(p.value, 10, 32); err != nil || d.port < 1 || d.port > 65535 {
				t.wrong(e.file, e.line, "write one port; it is for all hosts", "port=%s of %q is no port", p.value, e.key)
			}
		case p.key == "dbname":
			d.dbname = p.value
		case p.key == "user":
			d.user = p.value
		case p.key == "password":
			d.password = p.value
		case slices.Contains(lookUpSettings, p.key):
			d.lookUps = append(d.lookUps, p)
		default:
			if why, ok := t.translatePair(e, p, s, &d.limits); !ok {
				without.add(p.key+"="+p.value, why)
			}
		}
	}
	for _, line := range without.lines() {
		d.tenant.note("%s: %s", e.at(), line)
	}
	if e.key == "pgbouncer" {
		t.wrong(e.file, e.line, "name it differently", `the database "pgbouncer" is the console's`)
	}
	return d
}

// addTenant adds the [[tenant]], and its [[cluster]] if it is the first there.
func (t *bouncerTranslation) addTenant(d *bouncerDatabase, clusters map[string]int) {
	x, at := &d.tenant, d.at()
	members := t.members(d)
	if len(members) == 0 {
		x.note("%s: host=%s: Howdah reaches no sockets in the abstract namespace. With an address it would be:", at, d.host)
		x.leftOut = true
	}
	fallback := d.key == tenants.Fallback
	switch {
	case len(d.key) > maxName:
		x.note("%s: the name is longer than PostgreSQL's names can be: over %d bytes.", at, maxName)
		x.leftOut = true
	case slices.Contains(consoleNames(), d.key):
		x.note("%s: database %q is Howdah's console. Under another name it would be:", at, d.key)
		x.leftOut = true
	case fallback && d.dbname != "":
		x.note(`%s: dbname=%s led all names to one database; Howdah's "*" leads each to the database of that name, which is not the same, so it is left out. Write a [[tenant]] with database = %q for each name.`, at, d.dbname, d.dbname)
		x.leftOut = true
	}
	if !x.leftOut {
		c := t.cluster(members, clusters, at)
		x.add("cluster", c.value("name"), at+": host and port")
		t.lookUpUsersOf(d, c)
	}
	if d.dbname != "" && d.dbname != d.key && !fallback {
		x.add("database", d.dbname, at+": dbname")
	}
	if d.user != "" {
		x.note("%s: user=%s: PgBouncer logged in to PostgreSQL as %q, whoever the client was. Howdah logs in as the client's user: let clients log in as %q, or GRANT it to their roles.", at, d.user, d.user, d.user)
	}
	if d.password != "" {
		x.note("%s: password is not repeated: Howdah keeps none.", at)
	}
	if !fallback && !x.leftOut {
		t.owner(d)
	}
	x.keys = append(x.keys, d.limits.keys...)
	t.tenants = append(t.tenants, *x)
}

// members are the addresses of the line's hosts; none if Howdah cannot go there.
func (t *bouncerTranslation) members(d *bouncerDatabase) []string {
	hosts, err := splitList(d.host)
	if err != nil {
		t.wrong(d.file, d.line, "write host=a,b", "host=%s of %q: %v", d.host, d.key, err)
	}
	if len(hosts) == 0 {
		dir, _, _ := t.given("unix_socket_dir", "/tmp")
		hosts = []string{dir}
		if dir == "" {
			t.wrong(d.file, d.line, "write host=…", "%q has no host, and without unix_socket_dir there is no socket to look for", d.key)
		}
	}
	if len(hosts) > 1 {
		d.tenant.note("%s: host=%s: PgBouncer spread servers over the hosts. Howdah takes them for a primary and its standbys, and in this version all work goes to the first.", d.at(), d.host)
	}
	var all []string
	for _, host := range hosts {
		address := net.JoinHostPort(host, strconv.FormatInt(d.port, 10))
		switch {
		case strings.HasPrefix(host, "@"):
			return nil
		case strings.HasPrefix(host, "/"):
			address = filepath.Join(host, fmt.Sprintf(".s.PGSQL.%d", d.port))
		}
		if problem, _ := checkMember(address); problem != "" {
			t.wrong(d.file, d.line, "write the host's name or address", "host=%s of %q: %q %s", host, d.key, address, problem)
		}
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// cluster returns the cluster with these members, which it adds if it is new.
func (t *bouncerTranslation) cluster(members []string, known map[string]int, at string) *tomlTable {
	key := strings.Join(members, ",")
	if n, ok := known[key]; ok {
		return &t.clusters[n]
	}
	name := clusterName(members[0])
	taken := func(name string) bool {
		return slices.ContainsFunc(t.clusters, func(c tomlTable) bool { return c.value("name") == name })
	}
	for base, n := name, 2; taken(name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	c := tomlTable{in: sectionCluster}
	c.add("name", name, "")
	c.add("members", members, at+": host and port")
	if _, from, ok := t.given("server_tls_sslmode", ""); ok {
		c.add("tls_mode", t.serverTLS(), from)
	}
	t.file(&c, "server_tls_ca_file", "tls_ca_file")
	t.lookUpUsers(&c)
	known[key] = len(t.clusters)
	t.clusters = append(t.clusters, c)
	return &t.clusters[known[key]]
}

// clusterName is a short name for where an address leads, with the port where
// it is not PostgreSQL's own.
func clusterName(member string) string {
	name, port, err := net.SplitHostPort(member)
	if err != nil {
		_, port, _ = strings.Cut(filepath.Base(member), "PGSQL.")
	}
	switch {
	case err != nil, isLoopback(member):
		name = "local"
	case net.ParseIP(name) == nil:
		name, _, _ = strings.Cut(name, ".")
	}
	name = strings.ToValidUTF8(name[:min(len(name), maxName/2)], "")
	if port != "5432" {
		name += "-" + port
	}
	return name
}

// owner gives the tenant its user, which PgBouncer does not know: whom the line
// forces, the database's namesake, or the first that is nobody special.
func (t *bouncerTranslation) owner(d *bouncerDatabase) {
	x, at := &d.tenant, d.at()
	switch {
	case t.user(d.user) != nil:
		x.add("user", d.user, at+": user")
		return
	case t.user(d.key) != nil:
		return // the default
	case t.user(d.dbname) != nil:
		x.add("user", d.dbname, "a guess, as dbname is "+d.dbname)
		return
	}
	special, _, _ := t.given("admin_users", "")
	for _, name := range []string{"stats_users", "auth_user"} {
		more, _, _ := t.given(name, "")
		special += "," + more
	}
	var name string
	for i := range t.users {
		candidate, _ := t.users[i].value("name").(string)
		if t.users[i].leftOut || t.user(candidate) == nil {
			continue
		}
		if name == "" {
			name = candidate
		}
		if !slices.Contains(strings.FieldsFunc(special, func(c rune) bool { return c == ',' || c == ' ' }), candidate) {
			name = candidate
			break
		}
	}
	const what = "a tenant's user owns its database: its clients reach the shared database postgres with the tenant's limits"
	if name == "" && t.asks(x.value("cluster")) {
		name = d.key
	}
	if name != "" {
		x.add("user", name, "a guess: "+what)
		return
	}
	u := tomlTable{in: sectionUser}
	u.note("%s: no file has a user who could own %q, so this one is made up: put the owner's name and verifier here. (SELECT rolpassword FROM pg_authid; %s.)", at, d.key, what)
	u.add("name", d.key, "")
	if auth := t.listen.value("auth_type"); auth != "trust" && auth != "cert" {
		u.add("verifier", t.unknownVerifier(), "of a password that nobody knows")
	}
	t.users = append(t.users, u)
}
