package tenants_test

import (
	"maps"
	"testing"
	"time"

	"howdah/tenants"
)

func TestRoleSettingsInPostgreSQLsUnits(t *testing.T) {
	all := tenants.RoleSettings{StatementTimeout: 90 * time.Second, IdleInTransactionSessionTimeout: time.Millisecond, WorkMem: 64 << 20, TempFileLimit: 5 << 40}
	want := map[string]string{
		"statement_timeout": "90000ms", "idle_in_transaction_session_timeout": "1ms", "work_mem": "65536kB", "temp_file_limit": "5368709120kB",
	}
	if got := all.Parameters(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (tenants.RoleSettings{}).Parameters(); len(got) > 0 {
		t.Errorf("of none: %v", got)
	}
}
