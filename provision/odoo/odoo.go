package odoo

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Way says how a copy is neutralised.
type Way string

// The ways.
const (
	Auto    Way = "auto"    // by the modules' own data where there is some, else by the built-in list
	BuiltIn Way = "builtin" // by the built-in list
	None    Way = "none"    // not at all
)

// ErrFailed is of a copy that cannot be settled: trying again is of no use.
var ErrFailed = errors.New("the copy cannot be neutralised")

// Copy is what is to become of a copy.
type Copy struct {
	// UUID is the database's new one. A copy that has it is settled.
	UUID       string
	Neutralise Way
	// Addons are folders of modules on this machine: "/opt/odoo/addons", or with the version
	// that they are of, "17.0=/opt/odoo17/addons".
	Addons []string
}

// Report says what was done.
type Report struct {
	Version string   `json:"odoo,omitempty"`                // of Odoo's base module: "17.0.1.3"; "" is no Odoo database
	Modules []string `json:"modules_neutralised,omitempty"` // by their own data
	BuiltIn int      `json:"built_in_statements,omitempty"` // that were run
}

// Settle settles a copy. conn is its owner's. Where it fails the copy is as it was, and
// not to be used.
func Settle(ctx context.Context, conn *pgx.Conn, c Copy) (*Report, error) {
	var r Report
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local search_path = public; set local statement_timeout = 0; set local lock_timeout = 0"); err != nil {
			return err
		}
		if err := r.look(ctx, tx); err != nil || r.Version == "" {
			return err
		}
		if done, err := settled(ctx, tx, c.UUID); done || err != nil {
			return err
		}
		if c.Neutralise != None {
			if err := r.neutralise(ctx, tx, &c); err != nil {
				return err
			}
		}
		return renew(ctx, tx, c.UUID)
	})
	if err != nil {
		return nil, fmt.Errorf("settle the copy: %w", failed(err))
	}
	return &r, nil
}

// look finds out whether there is an Odoo, and which.
func (r *Report) look(ctx context.Context, tx pgx.Tx) error {
	var is bool
	err := tx.QueryRow(ctx, "select to_regclass('public.ir_module_module') is not null and to_regclass('public.ir_config_parameter') is not null").Scan(&is)
	if err != nil || !is {
		return err
	}
	return tx.QueryRow(ctx, "select coalesce((select latest_version from ir_module_module where name = 'base'), 'unknown')").Scan(&r.Version)
}

// neutralise runs the built-in list for modules without data of their own, then those
// that have some: their word is the last.
func (r *Report) neutralise(ctx context.Context, tx pgx.Tx, c *Copy) error {
	var own []module
	if c.Neutralise != BuiltIn && len(c.Addons) > 0 {
		var err error
		if own, err = modules(ctx, tx, folders(c.Addons, r.Version)); err != nil {
			return err
		}
	}
	for _, m := range own {
		r.Modules = append(r.Modules, m.name)
	}
	if err := r.builtIn(ctx, tx); err != nil {
		return err
	}
	for _, m := range own {
		if err := m.run(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}
