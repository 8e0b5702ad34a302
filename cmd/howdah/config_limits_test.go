package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/tenants"
)

const twoUsers = `
[[cluster]]
name = "main"
members = ["127.0.0.1:5442"]
[defaults]
max_queries_per_second = 10
max_bytes_per_second = "1MB"
quota_exempt_users = ["cleaner"]
[[tier]]
name = "gold"
max_queries_per_second = 100
transaction_timeout = "5m"
quota = "20GB"
[[tenant]]
name = "acme"
tier = "gold"
max_waiting_clients = 7
quota_grace_until = "2026-01-31T12:00:00+01:00"
[[tenant]]
name = "globex"
quota_grace_until = 2026-01-31T11:00:00Z
quota_exempt_users = []
[[user]]
name = "acme"
verifier = "` + scramVerifier + `"
[[user]]
name = "globex"
verifier = "` + scramVerifier + `"
[[user]]
name = "report"
verifier = "` + scramVerifier + `"
query_timeout = 0
transaction_timeout = "1h"
max_user_client_connections = 2
max_bytes_per_second = "2MB"
max_queries_per_second = 0
`

func TestLimitsOfTenantsAndUsers(t *testing.T) {
	c := mustLoad(t, twoUsers)
	acme, globex := c.Tenants[0].Limits, c.Tenants[1].Limits
	noon := time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC)
	if a, g := c.Tenants[0].QuotaRules, c.Tenants[1].QuotaRules; !a.GraceUntil.Equal(noon) || !g.GraceUntil.Equal(noon) || len(a.ExemptUsers) != 1 || len(g.ExemptUsers) != 0 {
		t.Errorf("rules of quotas are %+v and %+v", a, g)
	}
	if acme.Quota != 20<<30 || globex.Quota != 0 {
		t.Errorf("quotas are %d and %d", acme.Quota, globex.Quota)
	}
	if acme.MaxQueriesPerSecond != 100 || acme.MaxBytesPerSecond != 1<<20 || acme.TransactionTimeout != 5*time.Minute || acme.MaxWaitingClients != 7 {
		t.Errorf("acme has %+v", acme)
	}
	if globex.MaxQueriesPerSecond != 10 || globex.MaxWaitingClients != 0 || globex.TransactionTimeout != 0 {
		t.Errorf("globex has %+v", globex)
	}
	if own := c.Users[0].Limits; own.QueryTimeout != nil || own.MaxUserClientConn != nil {
		t.Errorf("user acme has limits of its own: %+v", own)
	}
	report := c.Users[2].Limits.Over(acme)
	if report.TransactionTimeout != time.Hour || report.MaxUserClientConn != 2 || report.MaxQueriesPerSecond != 0 || report.MaxBytesPerSecond != 2<<20 {
		t.Errorf("user report has %+v", report)
	}
	if own := c.Users[2].Limits.QueryTimeout; own == nil || *own != 0 {
		t.Errorf("query_timeout = 0 of a user is read as %v", own)
	}
}

func TestPoliciesOfTiers(t *testing.T) {
	c := mustLoad(t, `
[[cluster]]
name = "main"
members = ["127.0.0.1:5442"]
warm = 3
max_tenants = 100
disk_size = "500GB"
[[cluster]]
name = "alone"
members = ["127.0.0.1:5443"]
placement = "dedicated"
[defaults]
work_mem = "8MB"
[[tier]]
name = "gold"
placement = "dedicated"
statement_timeout = "30s"
temp_file_limit = "2GB"
backup_rpo = "5s"
backup_rto = "15m"
backup_retention = "720h"
[[tenant]]
name = "acme"
cluster = "alone"
tier = "gold"
work_mem = "64MB"
[[user]]
name = "acme"
verifier = "`+scramVerifier+`"
`)
	main, alone := c.Clusters[0], c.Clusters[1]
	if main.Warm != 3 || main.MaxTenants != 100 || main.DiskSize != 500<<30 || main.Placement != tenants.SharedPlacement || alone.Placement != tenants.DedicatedPlacement {
		t.Errorf("clusters %+v, %+v", main, alone)
	}
	gold, acme := c.Tiers[0], c.Tenants[0]
	if gold.Placement != tenants.DedicatedPlacement || gold.Role.WorkMem != 8<<20 {
		t.Errorf("tier %+v", gold)
	}
	if want := (tenants.RoleSettings{StatementTimeout: 30 * time.Second, WorkMem: 64 << 20, TempFileLimit: 2 << 30}); acme.Role != want {
		t.Errorf("acme's role has %+v, want %+v", acme.Role, want)
	}
	if want := (tenants.BackupPolicy{RPO: 5 * time.Second, RTO: 15 * time.Minute, Retention: 720 * time.Hour}); acme.Backup != want {
		t.Errorf("acme's backups have %+v, want %+v", acme.Backup, want)
	}
}

func TestRoleSettingsThatPostgreSQLDoesNotTake(t *testing.T) {
	for _, section := range []string{"[defaults]", "[[tier]]\nname = \"gold\"", "[[tenant]]\nname = \"acme\""} {
		for _, text := range []string{`work_mem = "1kB"`, `temp_file_limit = 100`, `statement_timeout = "1000h"`, `idle_in_transaction_session_timeout = "10us"`, `work_mem = "3TB"`} {
			_, err := parseConfig("x", t.TempDir(), "[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:5442\"]\n[[user]]\nname = \"acme\"\nverifier = \""+scramVerifier+"\"\n"+section+"\n"+text+"\n")
			name, _, _ := strings.Cut(text, " ")
			var wrong *ConfigError
			if !errors.As(err, &wrong) || len(wrong.Mistakes) != 1 || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: %v", section, text, err)
			}
		}
	}
}

func TestLimitsThatAUserCannotHave(t *testing.T) {
	_, err := parseConfig("x", t.TempDir(), twoUsers+"max_client_conn = 3\nquery_wait_timeout = \"soon\"\nmax_user_connections = -1\n")
	var wrong *ConfigError
	if !errors.As(err, &wrong) || len(wrong.Mistakes) != 3 {
		t.Fatalf("got %v, want three mistakes", err)
	}
	for _, part := range []string{"max_client_conn does not belong in [[user]]", "query_wait_timeout is \"soon\"", "max_user_connections is -1"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v\ndoes not say %q", err, part)
		}
	}
}

func TestGraceThatIsNoTime(t *testing.T) {
	_, err := parseConfig("x", t.TempDir(), strings.Replace(twoUsers, "2026-01-31T12:00:00+01:00", "tomorrow", 1))
	var wrong *ConfigError
	if !errors.As(err, &wrong) || len(wrong.Mistakes) != 1 || !strings.Contains(err.Error(), "quota_grace_until") || !strings.Contains(err.Error(), "2026-01-31T12:00:00Z") {
		t.Errorf("got %v", err)
	}
}
