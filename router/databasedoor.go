package router

import (
	"context"
	"time"

	"howdah/wire"
)

// DatabaseChange is what a client does to a whole database.
type DatabaseChange struct {
	Command   DatabaseCommand
	Done      bool   // else PostgreSQL has said that there is such a database already, or none
	Cluster   string // where
	Database  string
	Other     string // the new name, or the template of a new database
	User      string // who logged in
	Superuser bool
	Tier      string // of the tenant whose client it is; "" = none
	Address   string // of the client
}

// DatabaseDoor is how those who keep the registry follow what clients do to databases.
type DatabaseDoor struct {
	// May returns why a client must not make or rename a database, before PostgreSQL is
	// asked. It is called on a loop and must not wait.
	May func(DatabaseChange) error
	// Follow has the registry follow what was done. The client is not told before it
	// returns that its command is done: it may log in to a new database at once.
	Follow func(context.Context, DatabaseChange)
	// Vacate has other nodes leave a database, and keep out of it until ctx ends. PostgreSQL
	// waits for that.
	Vacate func(ctx context.Context, d DatabaseChange)
}

// Vacant returns the database in which nobody may be.
func (d *DatabaseChange) Vacant() string {
	if d.Command == CreateDatabase {
		return d.Other
	}
	return d.Database
}

// followFor is how long a client waits for the registry.
const followFor = 15 * time.Second

// HandleDatabases has somebody told of what clients do to whole databases. It must be
// called before Serve.
func (s *Server) HandleDatabases(d DatabaseDoor) { s.databaseDoor = &d }

func (c *client) change(d *onDatabase) DatabaseChange {
	key := c.route.key
	return DatabaseChange{
		Command: d.command, Done: d.fate != foundSo, Cluster: c.route.databaseKey().cluster, Database: d.name, Other: d.other,
		User: key.user, Superuser: isSuperuser(c.vars), Tier: c.route.source.Tier, Address: c.about.address,
	}
}

// mayChange asks whether a client may do something to a database.
func (c *client) mayChange(d *onDatabase) *wire.Error {
	if d.command != CreateDatabase && d.command != RenameDatabase {
		return nil
	}
	if err := c.w.server.databaseDoor.May(c.change(d)); err != nil {
		return &wire.Error{
			Severity: "ERROR", Code: wire.CodeObjectNotInState, Message: "Howdah could not follow this: " + err.Error(),
			Hint: "Howdah keeps a catalog of the databases that clients come to through it; this one could not be in it.",
		}
	}
	return nil
}

// tellDatabases has somebody told what the client has done to databases. The client is
// told nothing more until that has ended.
func (c *client) tellDatabases(all []onDatabase) {
	s, w := c.w.server, c.w
	changes := make([]DatabaseChange, len(all))
	for i := range all {
		changes[i] = c.change(&all[i])
	}
	s.catalogs.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, followFor)
		defer cancel()
		for _, change := range changes {
			s.databaseDoor.Follow(ctx, change)
		}
		w.loop.Post(c.databasesTold)
	})
}

// vacateElsewhere has other nodes leave a database until the returned function is called.
func (c *client) vacateElsewhere(d *onDatabase) (end func()) {
	s, change := c.w.server, c.change(d)
	ctx, end := context.WithCancel(s.ctx)
	s.catalogs.Go(func() { s.databaseDoor.Vacate(ctx, change) })
	return end
}

// databasesTold goes on when it has.
func (c *client) databasesTold() {
	if c.news = false; c.barrier && !c.leaving {
		c.awaitBarrier()
	}
}
