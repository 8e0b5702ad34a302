package api

import (
	"context"

	"howdah/admin/fleet"
)

type newPlace struct {
	To  string `json:"to" doc:"a cluster"`
	How string `json:"how,omitempty" enum:"auto,replicate,dump" default:"auto" doc:"replicate: its contents are replicated, and its clients held for the end of it; dump: they are dumped and restored while its clients are held; auto: dump if that takes under a second, else replicate"`
	// Nobody shall keep a tenant's data elsewhere by mistake.
	AnotherStore bool `json:"another_store,omitempty" doc:"go on though the cluster is backed up to another store, to which the tenant's data goes from then on; what is in the one of now stays there until it expires; only an admin may say so"`
}

type moveAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Moving
}

func (s *server) moveTenant(ctx context.Context, in *struct {
	ByName
	DryRun bool `query:"dry_run" doc:"say what would be done"`
	Body   newPlace
},
) (*moveAnswer, error) {
	if in.Body.AnotherStore {
		if err := mayChooseStore(ctx); err != nil {
			return nil, err
		}
	}
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	moving, err := f.MoveTenant(ctx, actor(ctx), in.Name, fleet.Destination{Cluster: in.Body.To, How: in.Body.How, AnotherStore: in.Body.AnotherStore}, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	return &moveAnswer{location(moving.Operation), moving}, nil
}
