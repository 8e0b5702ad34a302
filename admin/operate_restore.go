package admin

import (
	"context"

	"howdah/admin/fleet"
)

// restoreTenant reads when, then what is to be made.
func restoreTenant(ctx context.Context, o *operating) error {
	name, err := o.operand()
	if err != nil {
		return err
	}
	if !o.take("to") {
		return o.bad()
	}
	var n fleet.NewRestore
	err = o.named(&n.To, clauses{
		"as":         o.text(&n.As),
		"password":   o.text(&n.Password),
		"neutralise": o.text((*string)(&n.Neutralise)),
		"swap":       func() error { n.Swap = true; return nil },
	})
	if err != nil {
		return err
	}
	made, err := o.fleet.RestoreTenant(ctx, o.by, name, n, false)
	if err != nil {
		return err
	}
	o.begin(columns("tenant s, cluster s, database s, user s, password s, target s, base_backup s, about_seconds q, job s")).
		row(made.Name, made.Cluster, made.Database, made.User, orNull(made.Password), made.Target, made.Base, int64(made.About), made.Operation.ID)
	if made.Password != "" {
		o.notice("the password is told once: keep it", "")
	}
	if n.Swap {
		o.notice("the database that it has now is kept: UNRESTORE TENANT swaps back", "")
	}
	o.jobNotice(made.Operation.ID)
	return nil
}

func unrestoreTenant(ctx context.Context, o *operating) error {
	name, err := o.only()
	if err != nil {
		return err
	}
	made, err := o.fleet.UndoRestore(ctx, o.by, name, false)
	if err == nil {
		o.begun(made.Operation)
	}
	return err
}
