package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"howdah/router"
	"howdah/tenants"
)

// check notes what is wrong between settings that are right each for itself.
func (r *configReader) check() {
	r.checkCatalog()
	r.checkBackup()
	r.checkListen()
	r.checkTLS()
	r.checkAdmin()
	r.checkProxies()
	r.checkClusters()
	r.checkUsers()
	r.checkRules()
	r.checkTenants()
	r.checkExportStores()
	r.checkPromises()
	r.checkCosts()
	r.checkHomes()
	r.checkLimits()
}

// maxName is the length of PostgreSQL's names, NAMEDATALEN less one.
const maxName = 63

// consoleNames are the databases that open the console.
func consoleNames() []string { return []string{"howdah", "pgbouncer"} }

// checkName notes a missing, impossible or repeated name. seen holds the lines
// of the names before.
func (r *configReader) checkName(in section, b block, name string, seen map[string]int) {
	if _, text := b.keys["name"].(string); b.has("name") && !text {
		return // said already
	}
	if name == "" {
		r.wrong(b.key("name"), `write name = "…"`, "%s has no name", in.header())
		return
	}
	if len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.wrong(b.key("name"), "write a shorter, printable one", "name %.80q is over %d bytes or has control characters", name, maxName)
	}
	if line, taken := seen[name]; taken {
		r.wrong(b.key("name"), "remove one of them or name it differently", "%s %q is already on line %d", in, name, line)
		return
	}
	seen[name] = r.lines.line(b.key("name")...)
}

func (r *configReader) checkClusters() {
	c := r.config
	if len(c.Clusters) == 0 {
		r.wrong(nil, `write [[cluster]] with name = "main" and members = ["127.0.0.1:5432"]`, "there is no %s", sectionCluster.header())
	}
	seen := make(map[string]int)
	for i := range c.Clusters {
		cluster, b := &c.Clusters[i], r.clusterAt[i]
		r.checkName(sectionCluster, b, cluster.Name, seen)
		r.checkPatroni(cluster, b)
		if len(cluster.Members) == 0 && !b.has("patroni") && !isMistyped(b, "members") {
			r.wrong(b.key("members"), `write members = ["127.0.0.1:5432"]`, "cluster %q has no members", cluster.Name)
		}
		addresses := make(map[string]bool)
		for _, m := range cluster.Members {
			if problem, remedy := checkMember(m.Address); problem != "" {
				r.wrong(b.key("members"), remedy, "member %q %s", m.Address, problem)
			}
			if addresses[m.Address] {
				r.wrong(b.key("members"), "remove one", "member %q is there twice", m.Address)
			}
			addresses[m.Address] = true
		}
		r.checkLookup(cluster, b)
		r.checkStoreOf("store", cluster.Store, b)
		for _, u := range []struct{ name, url string }{{"admin_url", cluster.AdminURL}, {"replication_url", cluster.ReplicationURL}, {"base_url", cluster.BaseURL}} {
			if u.url != "" && !isConnString(u.url) {
				r.wrong(b.key(u.name), `write "postgres://user@host:5432/postgres" or "host=… port=… user=…"`, "%s is no connection string", u.name)
			}
		}
		if cluster.ReplicationURL != "" && cluster.AdminURL == "" {
			r.note(b.key("replication_url"), "write admin_url too, or see to it in pg_hba.conf",
				"cluster %q has no admin_url: restores to a time, and what is told of the slot, take that the role of replication_url may log in to database postgres, and the slot is kept on no standby", cluster.Name)
		}
		if cluster.BaseURL != "" && cluster.ReplicationURL == "" {
			r.wrong(b.key("base_url"), "give replication_url too, by which WAL is received", "a base backup without its WAL is none")
		}
	}
}

// isMistyped reports whether the block has the key with a value that is no list,
// which has been noted already.
func isMistyped(b block, name string) bool {
	value, given := b.keys[name]
	_, list := value.([]any)
	return given && !list
}

func (r *configReader) checkUsers() {
	c := r.config
	seen := make(map[string]int)
	needed := c.Listen.AuthType != "trust" && c.Listen.AuthType != "cert" && c.Listen.HBAFile == "" && !r.looksUp()
	for i := range c.Users {
		u, b := &c.Users[i], r.userAt[i]
		r.checkName(sectionUser, b, u.Name, seen)
		r.readServerSecret(b, u)
		r.checkOldVerifiers(u, b)
		copyIt := fmt.Sprintf("copy it from PostgreSQL: SELECT rolpassword FROM pg_authid WHERE rolname = '%s'", strings.ReplaceAll(u.Name, "'", "''"))
		if u.Verifier == "" {
			if given := b.keys["verifier"]; needed && (given == nil || given == "") {
				r.wrong(b.key("verifier"), copyIt, "user %q has no verifier", u.Name)
			}
			continue
		}
		if err := tenants.CheckVerifier(u.Verifier); err != nil {
			r.wrong(b.key("verifier"), copyIt, "the verifier of user %q is none, and a password must never stand here: %v", u.Name, err)
			continue
		}
		if c.Listen.AuthType == "scram-sha-256" && c.Listen.HBAFile == "" && strings.HasPrefix(u.Verifier, "md5") {
			r.wrong(b.key("verifier"), `write auth_type = "md5", or set the role's password again with password_encryption = scram-sha-256 and copy its verifier`,
				"user %q has an md5 verifier and cannot log in by auth_type %q", u.Name, c.Listen.AuthType)
		}
	}
	for _, list := range []struct {
		name  string
		users []string
	}{{"users", c.Admin.Users}, {"stats_users", c.Admin.StatsUsers}} {
		for _, name := range list.users {
			if _, ok := seen[name]; !ok {
				r.wrong([]string{string(sectionAdmin), list.name}, fmt.Sprintf("write [[user]] with name = %q", name),
					"%s names %q, but there is no such [[user]]", list.name, name)
			}
		}
	}
}

func (r *configReader) checkTenants() {
	c := r.config
	tiers := make(map[string]int)
	for i := range c.Tiers {
		r.checkName(sectionTier, r.tierAt[i], c.Tiers[i].Name, tiers)
	}
	clusters := make(map[string]bool)
	for i := range c.Clusters {
		clusters[c.Clusters[i].Name] = true
	}
	users := make(map[string]bool)
	for i := range c.Users {
		users[c.Users[i].Name] = true
	}
	seen := make(map[string]int)
	for i := range c.Tenants {
		t, b := &c.Tenants[i], r.tenantAt[i]
		r.checkName(sectionTenant, b, t.Name, seen)
		if slices.Contains(consoleNames(), t.Name) {
			r.wrong(b.key("name"), "name the tenant differently", "tenant %q has the name of the console", t.Name)
		}
		for _, key := range []string{"cluster", "database", "user"} {
			if b.keys[key] == "" {
				r.wrong(b.key(key), "remove it or write a name", "%s of tenant %q is empty", key, t.Name)
			}
		}
		r.checkClusterOf(t, b, clusters)
		if _, ok := tiers[t.Tier]; !ok && t.Tier != "" {
			r.wrong(b.key("tier"), suggestion(t.Tier, tiers, sectionTier), "there is no [[tier]] %q", t.Tier)
		}
		if t.Name == tenants.Fallback {
			r.checkFallback(b)
		} else if t.User != "" && !users[t.User] && !r.looksUp() {
			r.wrong(b.key("user"), fmt.Sprintf("write [[user]] with name = %q and its verifier", t.User),
				"user %q of tenant %q is no [[user]]", t.User, t.Name)
		}
	}
}

// checkHomes resolves where users without a tenant have the database postgres.
func (r *configReader) checkHomes() {
	c := r.config
	clusters, tiers := make(map[string]int), make(map[string]int)
	for i := range c.Clusters {
		clusters[c.Clusters[i].Name] = i
	}
	for i := range c.Tiers {
		tiers[c.Tiers[i].Name] = i
	}
	for i := range c.Users {
		u, b, limits := &c.Users[i], r.userAt[i], &c.Defaults
		_, known := clusters[u.Cluster]
		_, tier := tiers[u.Tier]
		switch {
		case u.Tier != "" && !tier:
			r.wrong(b.key("tier"), suggestion(u.Tier, tiers, sectionTier), "there is no [[tier]] %q", u.Tier)
		case u.Cluster == "" && u.Tier != "":
			r.wrong(b.key("tier"), "give the cluster too, or remove it", "the tier of user %q does nothing without a cluster", u.Name)
		case u.Cluster == "":
		case !known:
			r.wrong(b.key("cluster"), suggestion(u.Cluster, clusters, sectionCluster), "there is no [[cluster]] %q", u.Cluster)
		default:
			if tier {
				limits = c.tier(u.Tier)
			}
			u.Home = &tenants.Tenant{
				Name: tenants.Shared, Database: tenants.Shared, Cluster: u.Cluster, User: u.Name, Tier: u.Tier,
				Limits: limits.Limits, Reads: limits.Reads, Loops: limits.Loops,
			}
		}
	}
}

func (r *configReader) checkClusterOf(t *tenants.Tenant, b block, clusters map[string]bool) {
	switch {
	case clusters[t.Cluster]:
	case t.Cluster == "" && len(clusters) == 0: // said already
	case t.Cluster == "" && !b.has("cluster"):
		r.wrong(b.key("cluster"), `write cluster = "…"; it is needed where there are several`, "tenant %q has no cluster", t.Name)
	case t.Cluster != "":
		known := make(map[string]int)
		for name := range clusters {
			known[name] = 0
		}
		r.wrong(b.key("cluster"), suggestion(t.Cluster, known, sectionCluster), "there is no [[cluster]] %q", t.Cluster)
	}
}

// checkFallback notes what a tenant for all names cannot have.
func (r *configReader) checkFallback(b block) {
	for _, name := range []string{"database", "user"} {
		if b.has(name) {
			r.wrong(b.key(name), "remove it: the database is the name asked for, and the user whoever asks", `tenant "*" has no %s of its own`, name)
		}
	}
}

// suggestion says which of the known names was meant, or how to add one.
func suggestion(name string, known map[string]int, in section) string {
	var names []string
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	if like := nearest(name, names); like != "" {
		return fmt.Sprintf("write %q", like)
	}
	return fmt.Sprintf("write %s with name = %q", in.header(), name)
}

// checkLimits notes contradictions of resolved limits where they are written: a
// tenant that only inherits one is not blamed for it.
func (r *configReader) checkLimits() {
	c := r.config
	r.checkPools("[defaults]", c.Defaults, block{path: []string{string(sectionLimits)}, keys: nil}, true)
	r.checkReads([]string{string(sectionLimits)}, c.Defaults.Reads.Statements)
	r.checkRole(block{path: []string{string(sectionLimits)}}, c.Defaults.Role, true)
	for i := range c.Tiers {
		r.checkPools(fmt.Sprintf("tier %q", c.Tiers[i].Name), c.Tiers[i], r.tierAt[i], false)
		r.checkReadsOf(r.tierAt[i], c.Tiers[i].Reads)
		r.checkRole(r.tierAt[i], c.Tiers[i].Role, false)
	}
	kept := make(map[string]int)
	for i := range c.Tenants {
		t := &c.Tenants[i]
		limits := tenants.Tier{Limits: t.Limits, Loops: t.Loops}
		r.checkPools(fmt.Sprintf("tenant %q", t.Name), limits, r.tenantAt[i], false)
		r.checkReadsOf(r.tenantAt[i], t.Reads)
		r.checkRole(r.tenantAt[i], t.Role, false)
		kept[t.Cluster] += t.Limits.MinPoolSize
	}
	for i := range c.Clusters {
		cluster := &c.Clusters[i]
		if n := kept[cluster.Name]; cluster.Budget > 0 && n > cluster.Budget {
			r.wrong(r.clusterAt[i].key("budget"), "write a larger budget or smaller min_pool_size",
				"cluster %q has a budget of %d, but its tenants' min_pool_size add up to %d", cluster.Name, cluster.Budget, n)
		}
	}
}

func (r *configReader) checkPools(whose string, t tenants.Tier, b block, always bool) {
	blame := func(names ...string) ([]string, bool) {
		for _, name := range names {
			if b.has(name) {
				return b.key(name), true
			}
		}
		return b.key(names[0]), always
	}
	if l := t.Limits; l.MinPoolSize > l.PoolSize {
		if at, ok := blame("min_pool_size", "pool_size"); ok {
			r.wrong(at, fmt.Sprintf("write min_pool_size = %d or less, or a larger pool_size", l.PoolSize),
				"%s: min_pool_size %d is above pool_size %d", whose, l.MinPoolSize, l.PoolSize)
		}
	}
	for _, most := range []struct {
		name  string
		limit int
	}{{"max_db_connections", t.Limits.MaxDBConnections}, {"max_user_connections", t.Limits.MaxUserConnections}} {
		if n := t.Limits.MinPoolSize; most.limit > 0 && n > most.limit {
			if at, ok := blame(most.name, "min_pool_size"); ok {
				r.wrong(at, fmt.Sprintf("write min_pool_size = %d or less, or a larger %s", most.limit, most.name),
					"%s: min_pool_size %d is above %s %d", whose, n, most.name, most.limit)
			}
		}
	}
	if loops := r.config.Server.Loops; loops > 0 && t.Loops > loops {
		if at, ok := blame("loops"); ok {
			r.wrong(at, fmt.Sprintf("write loops = %d or less, or more under [server]", loops),
				"%s: loops %d is above the %d that [server] has", whose, t.Loops, loops)
		}
	}
}

// checkReadsOf notes statements that cannot run at a standby, where they are written.
func (r *configReader) checkReadsOf(b block, reads tenants.Reads) {
	if b.has("standby_statements") {
		r.checkReads(b.path, reads.Statements)
	}
}

// Bounds of PostgreSQL's own settings, which it would tell only when a role gets them.
const (
	leastWorkMem = 64 << 10
	leastTemp    = 1 << 10
	mostTimeout  = math.MaxInt32 * time.Millisecond
)

// checkRole notes what PostgreSQL would not take, where it is written. always is for a
// block that says what everything inherits.
func (r *configReader) checkRole(b block, role tenants.RoleSettings, always bool) {
	for _, s := range []struct {
		name  string
		wrong bool
		least string
	}{
		{"work_mem", role.WorkMem > 0 && role.WorkMem < leastWorkMem, "64kB or more, or 0"},
		{"temp_file_limit", role.TempFileLimit > 0 && role.TempFileLimit < leastTemp, "1kB or more, or 0"},
		{"statement_timeout", outOfBounds(role.StatementTimeout), "1ms to 24 days, or 0"},
		{"idle_in_transaction_session_timeout", outOfBounds(role.IdleInTransactionSessionTimeout), "1ms to 24 days, or 0"},
	} {
		if s.wrong && (always || b.has(s.name)) {
			r.wrong(b.key(s.name), "write "+s.least, "%s is what PostgreSQL does not take", s.name)
		}
	}
}

func outOfBounds(d time.Duration) bool { return d > 0 && d < time.Millisecond || d > mostTimeout }

func (r *configReader) checkReads(at, statements []string) {
	for _, text := range statements {
		if err := router.CheckStatement(text); err != nil {
			r.wrong(append(slices.Clone(at), "standby_statements"), "write a statement that only reads", "standby_statements: %v", err)
		}
	}
}
