package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"

	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/tenants/catalog"
)

// exportStore is where exports are kept, and who is told of what is done there.
type exportStore struct {
	*export.Place                 // that is meant
	all           []*export.Place // that there are
	several       bool            // and nobody has said which is meant
	away          error           // why others cannot be opened
	catalog       string          // "" = there is none, and no audit log
}

// exportStore opens the stores, or the one of a name.
func (c *Config) exportStore(name string, open func(*Store) (store.Store, error)) (*exportStore, error) {
	s := &exportStore{catalog: c.Catalog.URL, several: name == "" && len(c.Stores) > 0}
	if name != "" {
		named, err := c.storeOfFlag(name)
		if err != nil {
			return nil, err
		}
		if s.Place, err = named.place(open); err != nil {
			return nil, err
		}
		s.all = []*export.Place{s.Place}
		return s, nil
	}
	s.all, s.away = c.exportPlaces(open)
	switch {
	case len(s.all) == 0 && s.away == nil:
		return nil, fmt.Errorf("%s has no store: give [backup] store", c.Path)
	case len(s.all) == 0:
		return nil, s.away
	}
	s.Place = s.all[0]
	return s, nil
}

// find has the store be meant in which an export is, if that is what id is of. A store that is
// away is told of only where it is in none of the others.
func (s *exportStore) find(ctx context.Context, id string) error {
	if len(s.all) == 1 || export.CheckID(id) != nil {
		return nil
	}
	var bad *export.Place
	away := []error{s.away}
	for _, place := range s.all {
		_, err := place.Manifest(ctx, id)
		switch {
		case err == nil:
			s.Place = place
			return nil
		case errors.Is(err, store.ErrNotFound):
		case errors.Is(err, store.ErrDamaged), errors.Is(err, export.ErrNewer):
			bad = cmp.Or(bad, place)
		default:
			away = append(away, err)
		}
	}
	if bad != nil { // who wants it is told what is wrong with it
		s.Place = bad
		return nil
	}
	return errors.Join(away...)
}

// audit notes what is about to be done with an export. What cannot be noted is not done.
func (s *exportStore) audit(ctx context.Context, action, id string) error {
	if s.catalog == "" {
		return nil
	}
	return noteInCatalog(ctx, s.catalog, atTheShell(), action, "export", id, nil)
}

// noteInCatalog notes what somebody is about to do in the audit log of a catalog.
func noteInCatalog(ctx context.Context, url string, by catalog.Actor, action string, kind catalog.Kind, name string, details catalog.Settings) error {
	opened, err := catalog.Open(ctx, url)
	if err != nil {
		return fmt.Errorf("%s %s %q: it must be noted in the audit log of [catalog] first: %w", action, kind, name, err)
	}
	defer opened.Close()
	return opened.Change(ctx, by, func(tx *catalog.Tx) error { return tx.Audit(action, kind, name, details) })
}

// atTheShell is who gives a command that needs no running Howdah.
func atTheShell() catalog.Actor {
	by := catalog.Actor{Name: fmt.Sprintf("uid %d", os.Getuid()), Door: "command"}
	if who, err := user.Current(); err == nil {
		by.Name = who.Username
	}
	by.From, _ = os.Hostname() // "" where there is none
	return by
}
