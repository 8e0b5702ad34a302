package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"howdah/backup/export"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/tenants"
)

// Store is one of the places where backups of clusters, and exports of their tenants, are
// kept.
type Store struct {
	Name            string // tenants.DefaultStore is that of [backup]
	URL             string
	Recipients      []string // age's public keys
	CredentialsFile string   // absolute; "" is the environment
	ReadRate        int64    // bytes a second; 0 = no limit
	WriteRate       int64    // so too

	bucket *openBucket // of URL, if that is one
	rates  *store.Rates
	counts *store.Counts
	sealer *store.Sealer
}

// storeSettings are those of stores beside that of [backup].
func storeSettings() []setting {
	const in = sectionStore
	return []setting{
		{
			section: in, name: "name", initialDoc: "must be given", reload: true,
			doc: "What clusters call it.",
			at:  func(p *place) any { return &p.store.Name },
		},
		{
			section: in, name: "url", initialDoc: "must be given", reload: true,
			doc: "Where it is, as store in [backup] says it. Another prefix of the same bucket is another store.",
			at:  func(p *place) any { return &p.store.URL },
		},
		{
			section: in, name: "credentials_file", initial: "", reload: true,
			doc: "Like credentials_file in [backup], for this bucket; that of [backup] does not count here.",
			at:  func(p *place) any { return &p.store.CredentialsFile },
		},
		{
			section: in, name: "read_rate", initial: int64(0), most: 1 << 40, reload: true,
			doc: "Like read_rate in [backup], for this store; that of [backup] does not count here.",
			at:  func(p *place) any { return &p.store.ReadRate },
		},
		{
			section: in, name: "write_rate", initial: int64(0), most: 1 << 40, reload: true,
			doc: "Like write_rate in [backup], for this store.",
			at:  func(p *place) any { return &p.store.WriteRate },
		},
		{
			section: in, name: "recipients", initial: []any{}, reload: true,
			doc: "Like recipients in [backup], for what is put into this store; identity_file there needs a private key for each store that is read. [] is those of [backup].",
			at:  func(p *place) any { return &p.store.Recipients },
		},
	}
}

// checkStores looks at the stores beside that of [backup].
func (r *configReader) checkStores(identities string) {
	seen := map[string]int{}
	places := map[string]string{r.config.Backup.Store: tenants.DefaultStore}
	for i := range r.config.Stores {
		s, b := &r.config.Stores[i], r.storeAt[i]
		r.checkName(sectionStore, b, s.Name, seen)
		at := func(name string) []string {
			if name == "store" {
				name = "url"
			}
			return b.key(name)
		}
		switch {
		case s.Name == tenants.DefaultStore:
			r.wrong(b.key("name"), "write another", "%q is the store of [backup]", tenants.DefaultStore)
		case r.config.Backup.Store == "":
			r.wrong(b.key("name"), "give [backup] store, where clusters are backed up that name no other", "store %q is beside none", s.Name)
			continue
		case s.URL == "":
			r.wrong(b.key("url"), `write url = "s3://BUCKET/PREFIX" or "file:///path/of/a/folder"`, "store %q has no url", s.Name)
			continue
		}
		if len(s.Recipients) == 0 {
			s.Recipients = r.config.Backup.Recipients
		}
		r.readStore(s, at)
		if there, taken := places[s.URL]; taken {
			r.wrong(b.key("url"), "write another, such as one with another prefix", "store %q is where store %q is", s.Name, there)
		}
		places[s.URL] = s.Name
		r.readRecipients(s, at, identities)
	}
}

// checkStoreOf notes a store that is named under a key, and that there is not.
func (r *configReader) checkStoreOf(key, name string, b block) {
	if name == "" || r.config.storeNamed(name) != nil {
		return
	}
	known := map[string]int{}
	for i := range r.config.Stores {
		known[r.config.Stores[i].Name] = 0
	}
	r.wrong(b.key(key), suggestion(name, known, sectionStore), "there is no [[store]] %q", name)
}

// checkExportStores looks at where exports of tenants are to go, and notes whose are to be
// kept elsewhere than what else is stored of the tenant.
func (r *configReader) checkExportStores() {
	c := r.config
	defaults := block{path: []string{string(sectionLimits)}}
	r.checkStoreOf("export_store", c.Defaults.Backup.Exports, defaults)
	for i := range c.Tiers {
		if r.tierAt[i].has("export_store") {
			r.checkStoreOf("export_store", c.Tiers[i].Backup.Exports, r.tierAt[i])
		}
	}
	told := map[string]bool{}
	for i := range c.Tenants {
		t, b := &c.Tenants[i], r.tenantAt[i]
		if b.has("export_store") {
			r.checkStoreOf("export_store", t.Backup.Exports, b)
		}
		at := r.writtenAt(i, "export_store")
		written := strings.Join(at, ".")
		exports := c.storeNamed(t.Backup.Exports)
		in, known := c.storeOfKnown(t.Cluster)
		if t.Backup.Exports == "" || exports == nil || in == nil || !known || in == exports || told[written] {
			continue
		}
		told[written] = true // once, of however many tenants of a tier
		r.note(at, "put it on a cluster of that store if they must not be there", "exports of tenant %q go to store %q, and its rows are in store %q nevertheless, in the WAL of cluster %q", t.Name, exports.Name, in.Name, t.Cluster)
	}
}

// storeNamed returns a store, nil if there is none of that name; "" is that of [backup].
func (c *Config) storeNamed(name string) *Store {
	if name == "" || name == tenants.DefaultStore {
		return c.mainStore()
	}
	for i := range c.Stores {
		if c.Stores[i].Name == name {
			return &c.Stores[i]
		}
	}
	return nil
}

// mainStore is the store of [backup]; nil is none.
func (c *Config) mainStore() *Store {
	if c.Backup.Store == "" {
		return nil
	}
	return &c.main
}

// stores are all there are: that of [backup] first.
func (c *Config) stores() (all []*Store) {
	if s := c.mainStore(); s != nil {
		all = append(all, s)
	}
	for i := range c.Stores {
		all = append(all, &c.Stores[i])
	}
	return all
}

// storeOf returns where a cluster is backed up. One that the configuration does not have, any
// more or where the catalog is not known, is looked for; nil is that nobody knows.
func (c *Config) storeOf(cluster string) (*Store, error) {
	if s, known := c.storeOfKnown(cluster); known {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	of, others := c.storesOfClusters()
	if s, err := lookFor(ctx, cluster, of); s != nil || err != nil {
		return s, err
	}
	return lookFor(ctx, cluster, others)
}

// storesOfClusters are that of [backup] and those that clusters name. Into the others, which
// may be customers' own, somebody could have put anything.
func (c *Config) storesOfClusters() (of, others []*Store) {
	named := map[*Store]bool{c.mainStore(): true}
	for i := range c.Clusters {
		named[c.storeNamed(c.Clusters[i].Store)] = true
	}
	for _, s := range c.stores() {
		if named[s] {
			of = append(of, s)
		} else {
			others = append(others, s)
		}
	}
	return of, others
}

// lookFor returns the one of several stores that has something of a cluster; nil is none.
func lookFor(ctx context.Context, cluster string, stores []*Store) (found *Store, err error) {
	for _, s := range stores {
		in, err := s.openToRead()
		if err != nil {
			return nil, fmt.Errorf("look where cluster %q is backed up: store %q: %w", cluster, s.Name, err)
		}
		_, err = (&repository.Repository{Store: in, Cluster: cluster}).Identity(ctx)
		switch {
		case errors.Is(err, repository.ErrEmpty):
			continue
		case err != nil && !errors.Is(err, store.ErrDamaged):
			return nil, fmt.Errorf("look where cluster %q is backed up: store %q: %w", cluster, s.Name, err)
		case found != nil:
			return nil, fmt.Errorf("cluster %q is in store %q and in store %q: say --store which", cluster, found.Name, s.Name)
		}
		found = s
	}
	return found, nil
}

// storeOfKnown is storeOf where the configuration says it.
func (c *Config) storeOfKnown(cluster string) (s *Store, known bool) {
	for i := range c.Clusters {
		if c.Clusters[i].Name == cluster {
			return c.storeNamed(c.Clusters[i].Store), true
		}
	}
	return c.mainStore(), len(c.Stores) == 0
}

// exportPlace returns where exports are put: into the store of a name or, where that is "",
// the one of a cluster. nil is nowhere.
func (c *Config) exportPlace(name, cluster string, open func(*Store) (store.Store, error)) (*export.Place, error) {
	s := c.storeNamed(name)
	if name == "" {
		var err error
		if s, err = c.storeOf(cluster); err != nil {
			return nil, err
		}
	}
	switch {
	case s == nil && c.mainStore() == nil:
		return nil, nil
	case s == nil && name != "":
		return nil, fmt.Errorf("exports go to store %q: %w", name, export.ErrNoPlace)
	case s == nil:
		return nil, fmt.Errorf("there is no [[store]] for exports of cluster %q", cluster)
	}
	return s.place(open)
}

// exportPlaces returns where exports are kept, in [backup]'s store first; open says how. The
// error tells of those that cannot be opened.
func (c *Config) exportPlaces(open func(*Store) (store.Store, error)) (all []*export.Place, err error) {
	var away []error
	for _, s := range c.stores() {
		place, err := s.place(open)
		if err != nil {
			away = append(away, fmt.Errorf("store %q: %w", s.Name, err))
			continue
		}
		all = append(all, place)
	}
	return all, errors.Join(away...)
}

// place returns the exports that are kept in a store.
func (s *Store) place(open func(*Store) (store.Store, error)) (*export.Place, error) {
	in, err := open(s)
	if err != nil {
		return nil, err
	}
	return &export.Place{Name: s.Name, Store: in, Sealer: s.sealer}, nil
}
