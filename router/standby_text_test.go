package router

import "testing"

func TestMeansSame(t *testing.T) {
	v := &vars{conforming: true, readable: true}
	for text, want := range map[string]bool{
		"select 1":                                 true,
		"declare c cursor for select 1":            true,
		"declare c cursor with hold for select 1":  false, // what follows the transaction would be at a standby
		"select pg_promote()":                      false,
		"select pg_control_checkpoint()":           false,
		"select pg_copy_physical_replication_slot": false,
		"select 1; select 2":                       false,
	} {
		if got := meansSame([]byte(text), v); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
