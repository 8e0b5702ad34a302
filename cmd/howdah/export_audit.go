package main

import (
	"context"
	"fmt"
	"os"
	"os/user"

	"howdah/backup/export"
	"howdah/tenants/catalog"
)

// exportStore is where exports are kept, and who is told of what is done there.
type exportStore struct {
	*export.Place
	catalog string // "" = there is none, and no audit log
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
