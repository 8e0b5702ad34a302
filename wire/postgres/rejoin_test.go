package postgres_test

import (
	"testing"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRejoin has a primary that crashed, and one that was stopped, follow who was
// promoted in its place.
func TestRejoin(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	kept, soon := wiretest.WithSetting("wal_keep_size", "256MB"), wiretest.WithSetting("wal_retrieve_retry_interval", "100ms")
	primary := wiretest.StartPostgres(t, kept, soon)
	standby := wiretest.StartStandby(t, primary, kept, soon)
	for i, crashes := range []bool{true, false} {
		eventually(t, func() (bool, error) { return primary.Streaming(ctx, []string{"standby", "back"}[i]) })
		if crashes {
			primary.Kill()
		} else if err := primary.Stop(ctx, postgres.Fast); err != nil {
			t.Fatal(err)
		}
		table := []string{"first", "second"}[i]
		if err := standby.Exec(ctx, postgres.Superuser, "select pg_promote()", "create table "+table+"()"); err != nil {
			t.Fatal(err)
		}
		if err := primary.Rejoin(ctx, standby, "back", crashes); err != nil {
			t.Fatal(err)
		}
		if err := primary.Start(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() (bool, error) {
			var there bool
			err := primary.QueryRow(ctx, postgres.Superuser, "select pg_is_in_recovery() and to_regclass($1) is not null", []any{table}, &there)
			return there, err
		})
		primary, standby = standby, primary
	}
}
