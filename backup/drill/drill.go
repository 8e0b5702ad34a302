package drill

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"howdah/backup/base"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/wal"
	"howdah/wire/postgres"
)

// Drill restores what is stored, to see whether that can be done.
type Drill struct {
	Repo     *repository.Repository
	Database string // "" is the whole cluster
	// To is what restore.ParseTarget reads, or Random; "" is latest.
	To        string
	Superuser string   // of the cluster; "" is postgres
	Get       []string // this and the next: as in restore.Cluster
	Scratch   string
	Jobs      int // of pg_dump at a time; 0 is one
	// Find returns PostgreSQL's programs of a major version.
	Find func(major int) (postgres.Binaries, error)
	// Room says whether a folder has room for so many bytes.
	Room func(folder string, bytes int64) error
}

// ErrFailed is of a drill that has found that something is wrong: its record says what.
var ErrFailed = errors.New("the drill has failed")

// slack is what a server writes besides what it is given.
const slack = 512 << 20

// Run does the drill, and stores what came of it, unless it was cut short by the context.
// Nothing else is left of it.
func (d *Drill) Run(ctx context.Context) (*Record, error) {
	if _, err := d.Repo.Identity(ctx); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	rec := &Record{Format: format, ID: repository.NewID(now), Cluster: d.Repo.Cluster, Database: d.Database, Started: now.Truncate(time.Millisecond)}
	failed := d.run(ctx, rec)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	rec.Finished = time.Now().UTC().Truncate(time.Millisecond)
	if failed != nil {
		rec.Error = failed.Error()
		failed = fmt.Errorf("%w: %w", ErrFailed, failed)
	}
	return rec, errors.Join(failed, put(ctx, d.Repo, rec))
}

func (d *Drill) run(ctx context.Context, rec *Record) error {
	until, _, err := wal.StoredUntil(ctx, d.Repo)
	if err != nil {
		return err
	}
	if !until.Time.IsZero() {
		rec.RPO = rec.Started.Sub(until.Time).Seconds()
	}
	p, err := d.plan(ctx)
	if err != nil {
		return err
	}
	rec.Target, rec.Base, rec.WAL = p.Target.String(), p.Base.ID, p.WALBytes()
	binaries, err := d.Find(p.Identity.Major)
	if err != nil {
		return err
	}
	database := &restore.Database{
		Repo: d.Repo, Name: d.Database, Superuser: d.Superuser, Binaries: binaries, Get: d.Get, Scratch: d.Scratch, Jobs: d.Jobs,
	}
	rec.Bytes = p.BaseBytes()
	need := p.Room() + slack
	if d.Database != "" {
		n := database.Need(p)
		rec.Bytes, need = n.Unpack, n.Room+slack
	}
	scratch, err := postgres.MakeServerScratch(postgres.ScratchRoot(d.Scratch), func(root string) error { return d.Room(root, need) })
	if err != nil {
		return err
	}
	into := filepath.Join(scratch.Dir, "restored")
	if d.Database == "" {
		err = d.cluster(ctx, p, rec, &restore.Cluster{Repo: d.Repo, Dir: into, Binaries: binaries, Get: d.Get, Scratch: d.Scratch})
	} else {
		database.Into = into
		err = d.database(ctx, p, rec, database)
	}
	rec.Base = p.Base.ID // an older one, if the target was before the first
	if pages := (*restore.InvalidPages)(nil); errors.As(err, &pages) {
		rec.InvalidPages = pages.Lines
	}
	return errors.Join(err, scratch.Remove())
}

func (d *Drill) cluster(ctx context.Context, p *restore.Plan, rec *Record, c *restore.Cluster) error {
	c.Exam = &restore.Exam{Superuser: d.Superuser}
	err := c.Run(ctx, p)
	if at := c.Exam.Recovered; !at.IsZero() {
		rec.RTO = at.Sub(rec.Started).Seconds()
	}
	rec.Databases, rec.Dumped = c.Exam.Databases, c.Exam.Dumped
	return err
}

func (d *Drill) database(ctx context.Context, p *restore.Plan, rec *Record, one *restore.Database) error {
	one.Progress = func(part string, _ base.Progress) {
		switch part {
		case restore.Dump:
			rec.Recovered = time.Since(rec.Started).Seconds()
		case restore.Check: // which is begun when the dump is there
			rec.RTO, rec.Dumped = time.Since(rec.Started).Seconds(), d.Database
		}
	}
	if err := one.Run(ctx, p); err != nil {
		return err
	}
	rec.Databases = 1
	return nil
}
