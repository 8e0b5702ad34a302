package api

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"howdah/tenants/catalog"
)

// Entry is a cluster or a tier.
type Entry struct {
	Name     string         `json:"name"`
	Source   string         `json:"source" enum:"catalog,file"`
	Tenants  int            `json:"tenants" doc:"how many are on it, or of it"`
	Settings map[string]any `json:"settings,omitempty" doc:"by their names in howdah.toml; connection strings and Patroni's addresses are not told"`
	Revision int64          `json:"revision,omitempty" doc:"what ETag says"`
	Seats    *Seats         `json:"seats,omitempty" doc:"of a cluster that is in use: its server connections on this node"`
}

type entryAnswer struct {
	ETag string `header:"ETag"`
	Body Entry
}

func (s *server) entries(api huma.API) {
	s.kind(api, catalog.Cluster)
	s.kind(api, catalog.Tier)
}

// kind registers the endpoints of clusters, or of tiers.
func (s *server) kind(api huma.API, kind catalog.Kind) {
	noun, path := string(kind), "/"+string(kind)+"s"
	type put struct {
		Edit
		IfNoneMatch string           `header:"If-None-Match" doc:"* makes a new one"`
		Body        catalog.Settings `doc:"settings by their names in howdah.toml"`
	}
	huma.Register(api, operation("list-"+noun+"s", "GET", path, "List "+noun+"s", viewer), func(ctx context.Context, _ *struct{}) (*struct{ Body []Entry }, error) {
		all, err := s.allOf(ctx, kind)
		if err != nil {
			return nil, err
		}
		list := []Entry{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			list = append(list, *all[name])
		}
		return &struct{ Body []Entry }{list}, nil
	})
	huma.Register(api, operation("get-"+noun, "GET", path+"/{name}", "Show a "+noun, viewer), func(ctx context.Context, in *ByName) (*entryAnswer, error) {
		return s.oneOf(ctx, kind, in.Name)
	})
	huma.Register(api, operation("put-"+noun, "PUT", path+"/{name}", "Make a "+noun+", or give it other settings", admin), func(ctx context.Context, in *put) (*entryAnswer, error) {
		f, expect, err := s.edit(&in.Edit)
		if err != nil {
			return nil, err
		}
		if in.IfNoneMatch == "*" {
			expect = 0
		}
		e, err := f.PutEntry(ctx, actor(ctx), kind, in.Name, expect, in.Body)
		if err != nil {
			return nil, s.problem(err)
		}
		return &entryAnswer{etag(e.Revision), *entryOf(e)}, nil
	})
	type patch struct {
		Edit
		Body catalog.Settings `doc:"settings by their names in howdah.toml; null takes one away" contentType:"application/merge-patch+json"`
	}
	huma.Register(api, operation("set-"+noun, "PATCH", path+"/{name}", "Change settings of a "+noun, admin), func(ctx context.Context, in *patch) (*entryAnswer, error) {
		f, expect, err := s.edit(&in.Edit)
		if err != nil {
			return nil, err
		}
		e, err := f.SetEntry(ctx, actor(ctx), kind, in.Name, expect, in.Body)
		if err != nil {
			return nil, s.problem(err)
		}
		return &entryAnswer{etag(e.Revision), *entryOf(e)}, nil
	})
	huma.Register(api, operation("delete-"+noun, "DELETE", path+"/{name}", "Remove a "+noun+" that no tenant refers to", admin), func(ctx context.Context, in *Edit) (*struct{}, error) {
		f, expect, err := s.edit(in)
		if err != nil {
			return nil, err
		}
		return nil, s.problem(f.DeleteEntry(ctx, actor(ctx), kind, in.Name, expect))
	})
}

// entryOf is an entry as it is told: without passwords.
func entryOf(e *catalog.Entry) *Entry {
	return &Entry{Name: e.Name, Source: "catalog", Settings: e.Settings.WithoutSecrets(), Revision: e.Revision}
}

// allOf returns the clusters, or tiers, of the catalog and of howdah.toml.
func (s *server) allOf(ctx context.Context, kind catalog.Kind) (map[string]*Entry, error) {
	entries, err := s.entriesOf(ctx, kind)
	if err != nil {
		return nil, err
	}
	all := map[string]*Entry{}
	snapshot := s.Registry.Snapshot()
	add := func(name string) {
		all[name] = &Entry{Name: name, Source: "file"}
		if e := entries[name]; e != nil {
			all[name] = entryOf(e)
		}
	}
	if kind == catalog.Cluster {
		live := seats(s.Console)
		for c := range snapshot.Clusters() {
			add(c.Name)
			all[c.Name].Seats = live[c.Name]
		}
	} else {
		for t := range snapshot.Tiers() {
			add(t.Name)
		}
	}
	for t := range snapshot.Tenants() {
		name := t.Cluster
		if kind == catalog.Tier {
			name = t.Tier
		}
		if e := all[name]; e != nil {
			e.Tenants++
		}
	}
	return all, nil
}

func (s *server) oneOf(ctx context.Context, kind catalog.Kind, name string) (*entryAnswer, error) {
	all, err := s.allOf(ctx, kind)
	if err != nil {
		return nil, err
	}
	e := all[name]
	if e == nil {
		return nil, s.problem(fmt.Errorf("%s %q: %w", kind, name, catalog.ErrNotFound))
	}
	return &entryAnswer{etag(e.Revision), *e}, nil
}
