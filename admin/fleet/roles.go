package fleet

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

const (
	rolesEvery = time.Minute            // a look, though nothing seems to have changed
	rolesFor   = time.Minute            // a look may change roles for so long
	rolePause  = 20 * time.Millisecond  // between two of them
	rolesAgain = 200 * time.Millisecond // between two attempts to have a look begin
)

// ConfigureRoles has the roles of tenants have the settings that the registry gives them,
// one after the other. What somebody else has set stays.
func (f *Fleet) ConfigureRoles(ctx context.Context) error {
	known, err := f.Catalog.Roles(ctx)
	if err != nil {
		return err
	}
	busy, err := f.Catalog.Underway(ctx)
	if err != nil {
		return err
	}
	admins := f.newAdmins()
	defer admins.close(ctx)
	var errs []error
	end := time.Now().Add(rolesFor)
	for t := range f.Registry.Snapshot().Tenants() {
		role := known[t.ID]
		if _, is := busy[t.Name]; is || !unconfigured(t, &role) || admins.failed[t.Cluster] {
			continue
		}
		if err := f.configureRole(ctx, admins, t, &role); err != nil {
			errs = append(errs, fmt.Errorf("settings of tenant %q's role: %w", t.Name, err))
		}
		if time.Now().After(end) { // the rest comes next time
			break
		}
		if err := pause(ctx, rolePause); err != nil {
			return err
		}
	}
	return errors.Join(append(errs, f.Catalog.ForgetRoles(ctx))...)
}

// unconfigured reports whether a tenant's role is not known to have what it is to have.
func unconfigured(t *tenants.Tenant, role *catalog.Role) bool {
	wanted := t.Role.Parameters()
	if t.ID == "" || role.Wanted == nil && len(wanted) == 0 {
		return false // of howdah.toml, or like a server's own
	}
	return !role.Done || !maps.Equal(role.Wanted, wanted)
}

// configureTenant is ConfigureRoles for one that has just come into the registry.
func (f *Fleet) configureTenant(ctx context.Context, name string) error {
	t, ok := f.Registry.Snapshot().Tenant(name)
	if !ok || len(t.Role.Parameters()) == 0 {
		return nil
	}
	known, err := f.Catalog.Roles(ctx)
	if err != nil {
		return err
	}
	role := known[t.ID]
	if !unconfigured(t, &role) {
		return nil
	}
	admins := f.newAdmins()
	defer admins.close(ctx)
	return f.configureRole(ctx, admins, t, &role)
}

// configureRole gives a tenant's role its settings. What it is about to get is noted
// first: who comes after a crash then knows it from what others have set.
func (f *Fleet) configureRole(ctx context.Context, admins *admins, t *tenants.Tenant, before *catalog.Role) error {
	conn, err := admins.of(ctx, t.Cluster)
	if err != nil {
		return err
	}
	wanted := t.Role.Parameters()
	op := provision.Configure{ID: t.ID, Role: t.User, Wanted: wanted, Given: map[string][]string{}}
	for name, values := range before.Given {
		op.Given[name] = slices.Clone(values)
	}
	for name, value := range wanted {
		if !slices.Contains(op.Given[name], value) {
			op.Given[name] = append(op.Given[name], value)
		}
	}
	role := catalog.Role{Wanted: wanted, Given: op.Given}
	if err := f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) error { return tx.WantRole(t.ID, role) }); err != nil {
		return err
	}
	op.Given = before.Given // what somebody else has set to what is wanted now is theirs no more
	left, err := configure(ctx, conn, op)
	if errors.Is(err, provision.ErrNotFound) {
		return nil // it is not there yet, or no more: a later look finds it
	} else if err != nil {
		admins.drop(ctx, t.Cluster)
		return err
	}
	if len(left) > 0 {
		f.Log.Info("settings of a tenant's role stay as somebody else has made them", "tenant", t.Name, "settings", strings.Join(left, " "))
	}
	role.Given = map[string][]string{}
	for name, value := range wanted {
		if !slices.Contains(left, name) {
			role.Given[name] = []string{value}
		}
	}
	return f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) error { return tx.RoleDone(t.ID, role) })
}

// configure has a role have settings, and returns those that are somebody else's.
func configure(ctx context.Context, conn *pgx.Conn, op provision.Configure) (left []string, err error) {
	for {
		state, err := provision.Observe(ctx, conn, op)
		if err != nil {
			return nil, err
		}
		steps, err := provision.Plan(op, state)
		if err != nil || len(steps) == 0 {
			return op.Leaves(state), err
		}
		if err := provision.Run(ctx, conn, steps[0]); err != nil {
			return nil, err
		}
	}
}

// admins are connections to clusters, made when they are needed.
type admins struct {
	f      *Fleet
	conns  map[string]*pgx.Conn
	failed map[string]bool // clusters that could not be reached
}

func (f *Fleet) newAdmins() *admins {
	return &admins{f: f, conns: map[string]*pgx.Conn{}, failed: map[string]bool{}}
}

func (a *admins) of(ctx context.Context, cluster string) (*pgx.Conn, error) {
	if conn := a.conns[cluster]; conn != nil {
		return conn, nil
	}
	conn, err := a.f.connect(ctx, cluster)
	if err != nil {
		a.failed[cluster] = true
		return nil, err
	}
	a.conns[cluster] = conn
	return conn, nil
}

// drop closes a connection that may be broken.
func (a *admins) drop(ctx context.Context, cluster string) {
	a.conns[cluster].Close(context.WithoutCancel(ctx))
	delete(a.conns, cluster)
}

func (a *admins) close(ctx context.Context) {
	for cluster := range a.conns {
		a.drop(ctx, cluster)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watchRoles has roles be configured soon when the registry gives one other settings,
// until ctx ends.
func (f *Fleet) watchRoles(ctx context.Context) {
	changes, stop := f.Registry.Watch()
	defer stop()
	seed := maphash.MakeSeed()
	for last := rolesSum(seed, f.Registry.Snapshot()); ; {
		select {
		case <-changes:
		case <-ctx.Done():
			return
		}
		now := rolesSum(seed, f.Registry.Snapshot())
		for queued := now == last; !queued; {
			var err error
			if queued, err = f.runner.Soon(ctx, configureRoles); err != nil && ctx.Err() == nil {
				f.Log.Warn("settings of tenants' roles change later", "error", err)
				break // when the time has come for the next look
			}
			if !queued && pause(ctx, rolesAgain) != nil {
				return
			}
		}
		last = now
	}
}

// rolesSum is another one when a tenant is to have other settings, or another tenant some.
func rolesSum(seed maphash.Seed, s *tenants.Snapshot) (sum uint64) {
	for t := range s.Tenants() {
		if t.ID != "" && t.Role != (tenants.RoleSettings{}) {
			sum += maphash.Comparable(seed, [2]any{t.ID, t.Role}) // in whatever order
		}
	}
	return sum
}
