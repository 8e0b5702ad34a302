package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"howdah/backup/base"
	"howdah/backup/repository"
	"howdah/wire/postgres"
)

// Cluster puts a cluster back into a new directory.
type Cluster struct {
	Repo        *repository.Repository
	Dir         string            // absolute: there is none yet, or an empty one
	Tablespaces map[uint32]string // where each goes, by OID; those that are not given go into Dir
	Binaries    postgres.Binaries // of the cluster's major version
	// Get is the command by which the server gets WAL, in front of the socket's path: this
	// program's "wal archive-get --socket".
	Get      []string
	Scratch  string              // the folder of scratch folders, as postgres.ScratchRoot has it
	Progress func(base.Progress) // nil is nobody
	// NoConfiguration has the configuration that was outside of the data directory be left
	// out, which may be damaged.
	NoConfiguration bool
	// Exam, if not nil, looks through what was restored: it is for nothing else then.
	Exam *Exam

	// What Run has made in Dir beside the cluster's own.
	Configuration string // the folder of what was outside of the data directory; "" is that there is none
	Plain         bool   // a postgresql.conf of ours: there was none
}

// Run unpacks the base backup, and has a server recover until the target is met. Then the
// directory is a cluster's that was shut down, on a timeline of its own. After an error
// there is nothing left of it, unless it is the recovery's: then it can be looked at, and
// the error says where. Where the target turns out to be before the base backup, the one
// before that is begun with, and the plan says so then.
func (c *Cluster) Run(ctx context.Context, p *Plan) error {
	for {
		err := c.attempt(ctx, p)
		if !p.begunTooLate(ctx, c.Repo, err) {
			return err
		}
		if err := c.clear(); err != nil {
			return fmt.Errorf("remove what was restored from a base backup that was taken after %s: %w", p.Target, err)
		}
	}
}

// clear removes what was unpacked and recovered: the directories were empty before.
func (c *Cluster) clear() error {
	for _, folder := range append(slices.Collect(maps.Values(c.Tablespaces)), c.Dir) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// attempt is Run with the plan's base backup.
func (c *Cluster) attempt(ctx context.Context, p *Plan) error {
	files, err := c.readConfiguration(ctx, p.Base)
	if err != nil {
		return err
	}
	scratch, err := postgres.MakeServerScratch(postgres.ScratchRoot(c.Scratch), nil)
	if err != nil {
		return fmt.Errorf("make a folder for the restore: %w", err)
	}
	defer scratch.Remove() // it holds nothing that anybody wants
	err = p.unpack(ctx, c.Repo, c.Binaries, c.Dir, base.UnpackOptions{Tablespaces: c.Tablespaces, Chown: postgres.OwnScratch, Progress: c.Progress})
	if err == nil && c.Exam != nil {
		err = c.Exam.unpacked(ctx, c.Binaries, c.Dir)
	}
	if err != nil {
		return err
	}
	if err := c.putConfiguration(files, p.Base); err != nil {
		return errors.Join(fmt.Errorf("write the configuration that was outside of the data directory: %w", err), c.clear())
	}
	r := &recovery{binaries: c.Binaries, dir: c.Dir, beside: scratch.Dir, timeline: p.Timeline, segment: p.Identity.Segment}
	if c.Exam != nil {
		r.hba = scratchHBA
	}
	had, err := c.inPlace()
	if err != nil {
		return err
	}
	s, err := r.serveAndRun(ctx, c.Repo, p, c.Get)
	if err != nil { // it may have given up at a page that is not there
		if pages := (*InvalidPages)(nil); errors.As(r.gate(everything), &pages) {
			err = errors.Join(err, pages)
		}
	}
	if err == nil && c.Exam != nil {
		if err = c.Exam.run(ctx, c.Binaries, s); err != nil {
			s.Kill()
		}
	}
	if err == nil {
		err = s.Stop(ctx, postgres.Fast)
	}
	if err == nil && s.Outcome() != "exit status 0" {
		err = fmt.Errorf("the server did not stop as it should: %s", s.Outcome())
	}
	if err == nil {
		err = c.moveTablespaces(had)
	}
	if err == nil {
		err = c.archiveNowhere()
	}
	if err == nil {
		err = c.makeStartable()
	}
	if err == nil {
		err = c.handOver()
	}
	if err != nil {
		return fmt.Errorf("recover in %q to %s: %w", c.Dir, p.Target, err)
	}
	return nil
}

// everything is all databases.
func everything(uint32) bool { return true }

// inPlace returns the names of tablespaces that are folders in pg_tblspc.
func (c *Cluster) inPlace() (oids []string, err error) {
	entries, err := os.ReadDir(filepath.Join(c.Dir, "pg_tblspc"))
	for _, e := range entries {
		if e.IsDir() {
			oids = append(oids, e.Name())
		}
	}
	return oids, err
}

// moveTablespaces has those that were made since the base backup, which had some in place
// itself perhaps, be where those are for which nobody has named a place: a standby takes
// folders in pg_tblspc for a mistake.
func (c *Cluster) moveTablespaces(had []string) error {
	all, err := c.inPlace()
	if err != nil {
		return err
	}
	links, places := filepath.Join(c.Dir, "pg_tblspc"), filepath.Join(c.Dir, base.TablespacesFolder)
	for _, oid := range all {
		if slices.Contains(had, oid) {
			continue
		}
		to := filepath.Join(places, oid)
		err := os.MkdirAll(places, 0o700)
		if err == nil {
			os.Remove(to) // which is there, and empty, if another that was dropped had the OID
			err = os.Rename(filepath.Join(links, oid), to)
		}
		if err == nil {
			err = os.Symlink(to, filepath.Join(links, oid))
		}
		if err != nil {
			return fmt.Errorf("move tablespace %s: %w", oid, err)
		}
	}
	return syncFolder(c.Dir) // and all that is in it
}

// noArchive is put behind a restored cluster's settings.
const noArchive = `
# Howdah has restored this cluster. With the archive_command of the one that it is a copy of
# its WAL would get among that one's. Remove this when it takes that one's place.
archive_mode = off
`

// archiveNowhere has the restored cluster keep its WAL to itself until somebody wants it
// otherwise: it has the system identifier of the one that it is a copy of, and perhaps its
// archive_command.
func (c *Cluster) archiveNowhere() error {
	f, err := os.OpenFile(filepath.Join(c.Dir, "postgresql.auto.conf"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(noArchive)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// handOver gives the directory, and its tablespaces, to the OS user that servers run as:
// until now it was the scratch server's.
func (c *Cluster) handOver() error {
	folders := []string{c.Dir}
	for _, folder := range c.Tablespaces {
		folders = append(folders, folder)
	}
	for _, folder := range folders {
		if err := ownAll(folder, postgres.Own); err != nil {
			return err
		}
	}
	return nil
}

// ownAll gives a folder, with all that is in it, to its owner.
func ownAll(folder string, own func(path string) error) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return own(path)
	})
}
