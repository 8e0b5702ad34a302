package api

import (
	"context"

	"howdah/admin/fleet"
	"howdah/provision/odoo"
)

type newClone struct {
	Name     string `json:"name" maxLength:"63" doc:"of the clone, of its database and its user: a to z, 0 to 9, _ . and -"`
	Cluster  string `json:"cluster,omitempty" doc:"the source's, if not given"`
	Tier     string `json:"tier,omitempty" doc:"the source's, if not given"`
	Password string `json:"password,omitempty" doc:"a new one, if not given"`
	How      string `json:"how,omitempty" enum:"auto,template,dump" default:"auto" doc:"template: the database is copied while the source's clients are held; dump: it is dumped from one snapshot and restored while they work; auto: template if that should take under a second, else dump; when clients have been held for 1.5 s all the same, the copy is broken off, and it is dumped"`
	// Nobody shall keep a copy elsewhere by mistake.
	AnotherStore bool     `json:"another_store,omitempty" doc:"go on though the cluster is backed up to another store than the source's"`
	Neutralise   odoo.Way `json:"neutralise,omitempty" enum:"auto,builtin,none" default:"auto" doc:"of an Odoo database, by what crons, mail servers, payment providers and the like are switched off: auto: the modules' own data, where odoo_addons_path has it, else a built-in list; builtin: that list; none: nothing is"`
}

type cloningAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Cloning
}

func (s *server) cloneTenant(ctx context.Context, in *struct {
	ByName
	Asking
	Body newClone
},
) (*cloningAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	n := fleet.NewClone{Name: b.Name, Cluster: b.Cluster, Tier: b.Tier, Password: b.Password, How: b.How, Neutralise: b.Neutralise, AnotherStore: b.AnotherStore}
	if n.Once, err = in.once(ctx, true); err != nil {
		return nil, err
	}
	made, err := f.CloneTenant(ctx, actor(ctx), in.Name, n, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	return &cloningAnswer{location(made.Operation), made}, nil
}
