package catalog_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// Nodes are told of roles that have got other settings, each once, and only of those that
// have got what is wanted now.
func testRoles(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	const one, two = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
	role := catalog.Role{Wanted: map[string]string{"work_mem": "64kB"}, Given: map[string][]string{"work_mem": {"64kB", "128kB"}}}
	done := catalog.Role{Wanted: role.Wanted, Given: map[string][]string{"work_mem": {"64kB"}}, Done: true}
	change(t, c, func(tx *catalog.Tx) error { return tx.WantRole(one, role) })
	change(t, c, func(tx *catalog.Tx) error { return tx.RoleDone(one, done) }) // before the node is there

	ctx, cancel := context.WithCancel(t.Context())
	ended, ready, told := make(chan struct{}), make(chan struct{}, 100), make(chan []string, 100)
	go func() {
		defer close(ended)
		c.Follow(ctx, slog.New(slog.DiscardHandler), catalog.Follower{
			Use: func(*catalog.Contents) { ready <- struct{}{} }, Renew: func(tenants []string) { told <- tenants },
		})
	}()
	defer func() { cancel(); <-ended }()
	<-ready
	create(t, c, catalog.Tier, "a tier", nil) // the next look is not the first
	<-ready

	for _, id := range []string{one, two} {
		change(t, c, func(tx *catalog.Tx) error { return tx.WantRole(id, role) })
	}
	other := catalog.Role{Wanted: map[string]string{"work_mem": "1kB"}, Given: done.Given}
	change(t, c, func(tx *catalog.Tx) error { return tx.RoleDone(one, other) }) // wanted once
	change(t, c, func(tx *catalog.Tx) error { return tx.RoleDone(two, done) })
	select {
	case ids := <-told:
		if !slices.Equal(ids, []string{two}) {
			t.Errorf("told of %q", ids)
		}
	case <-time.After(patience):
		t.Fatal("nobody is told")
	}
	all, err := c.Roles(t.Context())
	role.Done = false
	if err != nil || !reflect.DeepEqual(all, map[string]catalog.Role{one: role, two: done}) {
		t.Errorf("known are %+v, %v", all, err)
	}
	if err := c.ForgetRoles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := c.Roles(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("of no tenants are known %+v, %v", all, err)
	}
}
