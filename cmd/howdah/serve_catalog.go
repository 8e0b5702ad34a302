package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"howdah/admin/api"
	"howdah/admin/fleet"
	"howdah/backup/export"
	"howdah/backup/repository"
	"howdah/router"
	"howdah/tenants/catalog"
)

// catalogPatience is between two attempts to reach a catalog that was away at the start.
const catalogPatience = 2 * time.Second

// readCache takes the tenants that the catalog had when it was last seen.
func (d *daemon) readCache(c *Config) (*Config, error) {
	if c.Catalog.Cache == "" {
		return c, nil
	}
	contents, err := catalog.ReadContents(c.Catalog.Cache)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	d.contents, d.cached = contents, true
	return c.WithEntries(contents.Entries)
}

// followCatalog has the catalog's entries be tenants, until ctx ends.
func (d *daemon) followCatalog(ctx context.Context, c Catalog) {
	var opened *catalog.Catalog
	for told := false; opened == nil; {
		var err error
		if opened, err = catalog.Open(ctx, c.URL); err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		if !told {
			d.log.Error("cannot reach the catalog: its tenants stay as they were seen last, and changes are refused", "error", err)
			told = true
		}
		select {
		case <-time.After(catalogPatience):
		case <-ctx.Done():
			return
		}
	}
	defer opened.Close()
	var running sync.WaitGroup
	defer running.Wait()
	var looked sync.Once
	holder := &fleet.Holder{Catalog: opened, Pooler: d.router, Node: d.node(), Log: d.log}
	use := func(contents *catalog.Contents) {
		err := d.useContents(ctx, opened, contents)
		for errors.Is(err, errNotMarked) { // nothing may be run by it
			d.log.Error("cannot mark the catalog as to be reviewed", "error", err)
			select {
			case <-time.After(catalogPatience):
			case <-ctx.Done():
				return
			}
			err = d.useContents(ctx, opened, contents)
		}
		if err != nil {
			d.log.Error("cannot use what the catalog holds: the registry stays as it is", "revision", contents.Revision, "error", err)
		}
		looked.Do(func() { running.Go(func() { d.runFleet(ctx, opened) }) }) // not before: the catalog may have been put back
	}
	opened.Follow(ctx, d.log, catalog.Follower{
		Node: d.node(), Version: version, Use: use,
		Held:  func(holds []catalog.Hold) { holder.Use(ctx, holds) },
		Renew: d.renew,
	})
}

// renew has servers of tenants replaced that do not have what their roles have now.
func (d *daemon) renew(ids []string) {
	changed := map[string]bool{}
	for _, id := range ids {
		changed[id] = true
	}
	for t := range d.registry.Snapshot().Tenants() {
		if changed[t.ID] {
			_ = d.router.Reconnect(t.Name) // one that is gone by now has none
		}
	}
}

// errNotMarked is of a catalog that was put back to an earlier time, which it does not
// know itself.
var errNotMarked = errors.New("the catalog has been restored to an earlier time")

// runFleet makes what operators ask for possible, and runs it, until ctx ends.
func (d *daemon) runFleet(ctx context.Context, c *catalog.Catalog) {
	config := fleet.Config{
		Catalog: c, Registry: d.registry, Log: d.log,
		Check:      d.checkEntries,
		MasterKey:  func() *catalog.MasterKey { return d.current().MasterKey },
		OdooAddons: func() []string { return d.current().Catalog.OdooAddonsPath },
		Exports:    d.exportPlaces,
		Repository: d.repository,
		Scratch:    d.current().Backup.ScratchDir,

		FilestoreDir: func() string { return d.current().Backup.FilestoreDir },
	}
	if get, err := archiveGetCommand(); err == nil {
		config.ArchiveGet = get
	} else {
		d.log.Error("no tenant can be restored", "error", err)
	}
	for ctx.Err() == nil {
		f, err := fleet.New(ctx, d.node(), config)
		if err == nil {
			d.fleet.Store(f)
			err = f.Run(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Error("cannot run operations", "error", err)
		}
		select {
		case <-time.After(catalogPatience):
		case <-ctx.Done():
		}
	}
}

// exportPlaces returns where exports go of a store's name, or of a cluster; all where there
// are some if both are "".
func (d *daemon) exportPlaces(store, cluster string) ([]*export.Place, error) {
	config := d.current()
	if store == "" && cluster == "" {
		return config.exportPlaces((*Store).open)
	}
	place, err := config.exportPlace(store, cluster, (*Store).open)
	if place == nil {
		return nil, err
	}
	return []*export.Place{place}, nil
}

// repository returns what the store holds of a cluster; nil is that there is no store.
func (d *daemon) repository(cluster string) (*repository.Repository, error) {
	config := d.current()
	if config.Backup.Store == "" {
		return nil, nil
	}
	return config.repositoryOf(cluster, (*Store).open)
}

// checkEntries says what would be wrong with the configuration if the catalog had these
// entries. The file has been found good: whatever is wrong is theirs.
func (d *daemon) checkEntries(entries []catalog.Entry) error {
	_, err := d.current().WithEntries(entries)
	var wrong *ConfigError
	if !errors.As(err, &wrong) {
		return err
	}
	var all []string
	for _, m := range wrong.Mistakes {
		all = append(all, m.Problem+"; "+m.Remedy)
	}
	return errors.New(strings.Join(all, "\n"))
}

// node names this process among those that share a catalog, the same after a restart.
func (d *daemon) node() string {
	host, _ := os.Hostname()
	return host + ":" + firstPort(d.current().Listen.Addresses)
}

var (
	errNoCatalog   = errors.New("there is no catalog: tenants are those of howdah.toml; give [catalog] url")
	errCatalogAway = errors.New("the catalog is away: nothing can be changed now")
)

// api is the HTTP API.
func (d *daemon) api() *api.API {
	return api.New(api.Config{
		Registry: d.registry, Console: d.console, Version: version, Log: d.log, Fleet: d.theFleet, TakeBackup: d.takeBackup, ReadBackups: d.backups.readSoon,
		ClientRole: func(name string) string { return d.current().Admin.ClientRole(name) },
		Limits: func() api.Limits {
			a := &d.current().Admin
			return api.Limits{Requests: a.RequestsPerSecond, Failures: a.TokenFailuresPerAddress}
		},
	})
}

// theFleet is who does what operators ask for, if there is a catalog.
func (d *daemon) theFleet() (*fleet.Fleet, error) {
	if f := d.fleet.Load(); f != nil {
		return f, nil
	}
	if d.current().Catalog.URL == "" {
		return nil, errNoCatalog
	}
	return nil, errCatalogAway
}

// useContents makes the catalog's entries the registry's, unless the catalog has been
// put back to an earlier time: then nothing changes until an operator has looked.
func (d *daemon) useContents(ctx context.Context, c *catalog.Catalog, contents *catalog.Contents) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	why, err := d.restored(ctx, c, contents)
	switch {
	case err != nil:
		return fmt.Errorf("%w, or not: %w", errNotMarked, err)
	case contents.Review != "":
		d.log.Error("the catalog is to be reviewed: the registry stays as it is, and nothing is run", "why", contents.Review)
		d.reviewed = true
		return nil
	case why != "":
		if err := c.NeedReview(ctx, why+": it has been restored to an earlier time"); err != nil {
			return fmt.Errorf("%w: %w", errNotMarked, err)
		}
		return nil
	}
	d.refused = contents
	next, err := d.current().WithEntries(contents.Entries)
	if err != nil {
		return err
	}
	if err := d.apply(next); err != nil {
		return err
	}
	d.contents, d.refused, d.reviewed = contents, nil, false
	c.Know(contents.Audit)
	d.log.Info("catalog read", "revision", contents.Revision, "entries", len(contents.Entries))
	if path := next.Catalog.Cache; path != "" {
		return contents.Save(path)
	}
	return nil
}

// restored says how it can be told that the catalog was put back to an earlier time; "" if
// it was not, or an operator has said that it may be gone by.
func (d *daemon) restored(ctx context.Context, c *catalog.Catalog, contents *catalog.Contents) (why string, err error) {
	before := d.contents
	if before == nil || d.reviewed || contents.Review != "" {
		return "", nil
	}
	if !contents.Follows(before) {
		return fmt.Sprintf("it was at revision %d, and is at %d now", before.Revision, contents.Revision), nil
	}
	known := c.Known()
	if known.Seq == 0 {
		known = before.Audit
	}
	held, err := c.Holds(ctx, known)
	if err == nil && !held {
		why = fmt.Sprintf("line %d of its audit log was another, or is not there now", known.Seq)
	}
	return why, err
}

// withContents returns a configuration that was read again with the catalog's entries:
// the newest, if it was only the file before that did not go with them.
func (d *daemon) withContents(c *Config) (*Config, error) {
	if d.refused != nil {
		if next, err := c.WithEntries(d.refused.Entries); err == nil {
			d.contents, d.refused = d.refused, nil
			return next, nil
		}
	}
	if d.contents == nil {
		return c, nil
	}
	return c.WithEntries(d.contents.Entries)
}

// mayChangeDatabase says why a client must not make or rename a database by SQL.
func (d *daemon) mayChangeDatabase(c router.DatabaseChange) error {
	f := d.fleet.Load()
	if f == nil {
		return errCatalogAway
	}
	return f.MayChange(c)
}

// vacateDatabase has other nodes keep out of a database until ctx ends.
func (d *daemon) vacateDatabase(ctx context.Context, c router.DatabaseChange) {
	f := d.fleet.Load()
	if f == nil {
		return
	}
	if err := f.VacateDatabase(ctx, c); err != nil && ctx.Err() == nil {
		d.log.Warn("other nodes may be in a database that a client copies, drops or renames", "cluster", c.Cluster, "database", c.Vacant(), "error", err)
	}
}

// followDatabase has the catalog follow what a client has done to a database by SQL.
func (d *daemon) followDatabase(ctx context.Context, c router.DatabaseChange) {
	err := errCatalogAway
	if f := d.fleet.Load(); f != nil {
		err = f.FollowDatabase(ctx, c)
	}
	if err != nil {
		d.log.Error("the catalog does not follow what a client has done to a database; it will when the client tries the same again",
			"cluster", c.Cluster, "database", c.Database, "user", c.User, "error", err)
	}
}
