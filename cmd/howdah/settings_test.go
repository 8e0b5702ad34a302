package main

import (
	"strings"
	"testing"
	"time"

	"howdah/tenants/catalog"
)

func TestEverySettingIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() {
		name := string(s.section) + "." + s.name
		switch {
		case seen[name]:
			t.Errorf("%s is there twice", name)
		case s.doc == "" || !strings.HasSuffix(s.doc, "."):
			t.Errorf("%s: %q is no sentence", name, s.doc)
		case s.initial == nil && s.initialDoc == "":
			t.Errorf("%s: neither a default nor what leaving it out means", name)
		case s.at == nil || s.at(newPlace()) == nil:
			t.Errorf("%s: no home", name)
		case s.section.header() == "" || s.section.about() == "":
			t.Errorf("%s: section %q is unknown", name, s.section)
		}
		seen[name] = true
		s.setDefault(newPlace()) // panics on one that does not fit
		if s.kind() == "" || s.want() == "" {
			t.Errorf("%s: no type", name)
		}
	}
}

// The defaults that DESIGN and PgBouncer promise, so that none changes unseen.
func TestDefaults(t *testing.T) {
	c := defaultConfig()
	l := c.Defaults.Limits
	for name, ok := range map[string]bool{
		"addresses":                c.Listen.Addresses[0] == "127.0.0.1:6432" && len(c.Listen.Addresses) == 1,
		"auth_type":                c.Listen.AuthType == "scram-sha-256",
		"http":                     c.Admin.HTTP == "127.0.0.1:8432",
		"client_login_timeout":     c.Server.ClientLoginTimeout == time.Minute,
		"pool_mode":                l.PoolMode.String() == "transaction",
		"pool_size":                l.PoolSize == 20,
		"min_pool_size":            l.MinPoolSize == 0,
		"reserve_pool_size":        l.ReservePoolSize == 0,
		"reserve_pool_timeout":     l.ReservePoolTimeout == 5*time.Second,
		"max_client_conn":          l.MaxClientConn == 0,
		"query_wait_timeout":       l.QueryWaitTimeout == 120*time.Second,
		"server_lifetime":          l.ServerLifetime == time.Hour,
		"server_idle_timeout":      l.ServerIdleTimeout == 10*time.Minute,
		"server_connect_timeout":   l.ServerConnectTimeout == 15*time.Second,
		"server_login_retry":       l.ServerLoginRetry == 15*time.Second,
		"server_check_delay":       l.ServerCheckDelay == 30*time.Second,
		"server_check_query":       l.ServerCheckQuery == "select 1",
		"query_timeout":            l.QueryTimeout == 0,
		"idle_transaction_timeout": l.IdleTransactionTimeout == time.Hour,
		"client_idle_timeout":      l.ClientIdleTimeout == 0,
		"sequence_pin_timeout":     l.SequencePinTimeout == time.Minute,
		"max_prepared_statements":  l.MaxPreparedStatements == 200,
		"transaction_timeout":      l.TransactionTimeout == 0,
		"rates and counts are off": l.MaxUserClientConn == 0 && l.MaxDBConnections == 0 && l.MaxUserConnections == 0 &&
			l.MaxWaitingClients == 0 && l.MaxQueriesPerSecond == 0 && l.MaxLoginsPerSecond == 0 && l.MaxBytesPerSecond == 0 && l.Quota == 0,
		"weight":                         l.Weight == 1,
		"max_client_prepared_statements": l.MaxClientPreparedStatements == 10_000,
		"read_split":                     c.Defaults.Reads.Split == "declared" && c.Defaults.Reads.OwnWrites == "tenant" && c.Defaults.Reads.SessionAttrs == "any",
		"loops":                          c.Defaults.Loops == 1 && c.Server.Loops == 0,
	} {
		if !ok {
			t.Errorf("the default of %s is wrong", name)
		}
	}
}

func TestManualHasEverySetting(t *testing.T) {
	manual := settingsManual()
	for _, s := range settings() {
		if !strings.Contains(manual, "\n  "+s.name+"\n") || !strings.Contains(manual, s.section.header()) {
			t.Errorf("%s.%s is not in the manual", s.section, s.name)
		}
	}
	for i, line := range strings.Split(manual, "\n") {
		if len(line) > 80 {
			t.Errorf("line %d of the manual has %d columns: %s", i+1, len(line), line)
		}
	}
	if n := strings.Count(strings.Join(strings.Fields(manual), " "), " Default: "); n != len(settings()) {
		t.Errorf("the manual has %d defaults of %d settings", n, len(settings()))
	}
}

func TestParseDurationAndSize(t *testing.T) {
	for _, c := range []struct {
		value any
		want  time.Duration
		ok    bool
	}{
		{"120s", 2 * time.Minute, true},
		{"1m30s", 90 * time.Second, true},
		{int64(90), 90 * time.Second, true},
		{0.25, 250 * time.Millisecond, true},
		{int64(0), 0, true},
		{"-1s", 0, false},
		{"1 s", 0, false},
		{true, 0, false},
		{int64(1) << 62, 0, false},
	} {
		if got, ok := parseDuration(c.value); ok != c.ok || ok && got != c.want {
			t.Errorf("duration %v: %v, %v", c.value, got, ok)
		}
	}
	for _, c := range []struct {
		value any
		want  int64
		ok    bool
	}{
		{int64(7), 7, true},
		{"7", 7, true},
		{"7B", 7, true},
		{"2kB", 2048, true},
		{"2 MB", 2 << 20, true},
		{"1GB", 1 << 30, true},
		{"3TB", 3 << 40, true},
		{"9999999TB", 0, false},
		{"-9999999TB", 0, false},
		{"1gb", 0, false},
		{"9999999999GB", 0, false},
		{"MB", 0, false},
		{1.5, 0, false},
	} {
		if got, ok := parseSize(c.value); ok != c.ok || ok && got != c.want {
			t.Errorf("size %v: %v, %v", c.value, got, ok)
		}
	}
}

// What SHOW CONFIG does not tell, the API and the audit log do not tell either.
func TestSecretSettingsAreToldNobody(t *testing.T) {
	for _, s := range settings() {
		if !s.secret || s.section.once() {
			continue
		}
		if told := (catalog.Settings{s.name: "hidden"}).WithoutSecrets(); told[s.name] != "(secret)" {
			t.Errorf("%s of [[%s]] is told: %v", s.name, s.section, told)
		}
	}
}
