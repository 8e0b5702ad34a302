package api

import (
	"context"

	"howdah/admin/fleet"
	"howdah/provision/odoo"
)

type newRestore struct {
	To         string   `json:"to" maxLength:"100" doc:"latest, a time with its zone (2026-01-31T10:42:00Z, or 2026-01-31 10:42:00 Europe/Brussels), lsn:16/B374D848, xid:1234, or name:LABEL, of a restore point"`
	As         string   `json:"as,omitempty" maxLength:"63" doc:"the new tenant's name, its database's and its user's too; the tenant's and _restored, if not given"`
	Password   string   `json:"password,omitempty" doc:"of the new tenant; a new one, if not given"`
	Neutralise odoo.Way `json:"neutralise,omitempty" enum:"auto,builtin,none" doc:"of an Odoo database that is restored beside: as for a clone, auto if not given; none: it runs crons and sends mails as the tenant does"`
	Swap       bool     `json:"swap,omitempty" doc:"it takes the tenant's place, which keeps its name, user, password, settings and rights; its clients are held for a moment; the database that was there is kept as a dropped tenant's is"`
}

type restoringAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Restoring
}

func (s *server) restoreTenant(ctx context.Context, in *struct {
	ByName
	Asking
	Body newRestore
},
) (*restoringAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	n := fleet.NewRestore{To: b.To, As: b.As, Password: b.Password, Neutralise: b.Neutralise, Swap: b.Swap}
	if n.Once, err = in.once(ctx, true); err != nil {
		return nil, err
	}
	made, err := f.RestoreTenant(ctx, actor(ctx), in.Name, n, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	return &restoringAnswer{location(made.Operation), made}, nil
}

func (s *server) undoRestore(ctx context.Context, in *struct {
	ByName
	DryRun bool `query:"dry_run" doc:"say what would be done"`
},
) (*restoringAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	made, err := f.UndoRestore(ctx, actor(ctx), in.Name, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	return &restoringAnswer{location(made.Operation), made}, nil
}
