package base

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
)

// Options are those of taking a base backup.
type Options struct {
	Label   string // PostgreSQL writes it into backup_label; "" is "howdah" and the id
	MaxRate int    // kB a second, 32 to 1048576; 0 is as fast as it goes
	Spread  bool   // the checkpoint takes its time; else it is made at once
	// Since, if not nil, has only what has changed since another base backup be taken.
	Since *Since
	// Keep, if not nil, gets PostgreSQL's own manifest as it comes, for a later Since: the
	// store may have it sealed for others only.
	Keep io.Writer
	// Configuration, if not nil, is that of the server: what of it does not come with the
	// data directory is taken along.
	Configuration *Configuration
	// Begun, if not nil, is told from where on its WAL is needed, before anything of it is
	// stored; after an error it is given up.
	Begun func(ctx context.Context, start Position) error
	// Progress, if not nil, is told how far it is, often.
	Progress func(Progress)

	objectSize int64 // 0 is the usual
}

// Since is a base backup since which there is to be an incremental one. The server must
// have summarize_wal, since before that, and be PostgreSQL 17 or later.
type Since struct {
	Manifest *Manifest
	// BackupManifest is what Keep got.
	BackupManifest io.Reader
}

// OldestIncremental is the oldest version of PostgreSQL that has incremental base backups.
const OldestIncremental = 17

func (s *Since) check(server replication.Server) error {
	switch {
	case server.Major < OldestIncremental:
		return fmt.Errorf("an incremental base backup cannot be taken of PostgreSQL %d: %d is the oldest version that has them", server.Major, OldestIncremental)
	case s.Manifest.System != server.System:
		return fmt.Errorf("%w: base backup %q, since which there is to be an incremental one, is of the system %s, and the server is %s", repository.ErrForeign, s.Manifest.ID, s.Manifest.System, server.System)
	}
	return nil
}

// Progress is how far something is.
type Progress struct {
	Done  int64 // bytes, not compressed
	Total int64 // as far as it is known
}

// usualSize is about how many bytes of files an object has at most: one is fetched as a
// whole, and several at a time. A file is in one object.
const usualSize = 1 << 30

// Take streams a base backup of the server at the other end of conn into the store, and
// returns its manifest, which it does not store: the backup is not there before Commit.
// databases tells the names of the cluster's databases by their OIDs. After an error the
// connection is of no use, and nothing is left in the store, or what Sweep finds.
func Take(ctx context.Context, r *repository.Repository, conn *replication.Conn, databases func(context.Context) (map[uint32]string, error), o Options) (*Manifest, error) {
	if o.MaxRate != 0 && (o.MaxRate < 32 || o.MaxRate > 1<<20) {
		return nil, fmt.Errorf("a base backup cannot be taken at %d kB a second: 32 to 1048576 can be asked for, and 0 for no limit", o.MaxRate)
	}
	server := conn.Server()
	if _, err := r.Claim(ctx, server); err != nil {
		return nil, err
	}
	if o.Since != nil {
		if err := o.Since.check(server); err != nil {
			return nil, err
		}
	}
	now := time.Now().UTC()
	m := &Manifest{
		Format: format, ID: repository.NewID(now), Cluster: r.Cluster, System: server.System, Major: server.Major, Segment: server.Segment,
		Label: o.Label, Started: now.Truncate(time.Microsecond),
	}
	if m.Label == "" {
		m.Label = "howdah " + m.ID
	}
	if o.objectSize == 0 {
		o.objectSize = usualSize
	}
	if err := take(ctx, r, conn, databases, o, m); err != nil {
		return nil, errors.Join(fmt.Errorf("take base backup of cluster %q: %w", r.Cluster, err), forget(ctx, r, m.ID))
	}
	return m, nil
}

func take(ctx context.Context, r *repository.Repository, conn *replication.Conn, databases func(context.Context) (map[uint32]string, error), o Options, m *Manifest) (err error) {
	if m.DatabasesAtStart, err = databases(ctx); err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	u := newUploads(ctx, r)
	defer u.abort()
	if o.Since != nil {
		m.Since = o.Since.Manifest.ID
		if err := conn.UploadManifest(u.ctx, o.Since.BackupManifest); err != nil {
			return err
		}
	}
	b, err := conn.BaseBackup(u.ctx, replication.BaseOptions{Label: m.Label, Spread: o.Spread, MaxRate: o.MaxRate, Incremental: o.Since != nil})
	if err != nil {
		return err
	}
	m.Start = Position(b.Start)
	if err := mark(u.ctx, r, m); err != nil {
		return err
	}
	if o.Begun != nil { // now that nothing expires
		if err := o.Begun(u.ctx, m.Start); err != nil {
			return err
		}
	}
	t := &taking{uploads: u, m: m, o: o}
	if o.Configuration != nil {
		t.absent = o.Configuration.inside()
	}
	for _, space := range b.Tablespaces {
		t.progress.Total += space.Size
		if space.OID != 0 {
			m.Tablespaces = append(m.Tablespaces, Tablespace{OID: space.OID, Location: space.Location})
		}
	}
	if err := t.all(b); err != nil {
		if cause := context.Cause(u.ctx); cause != nil {
			return cause // it is why the connection was cut
		}
		return err
	}
	m.Stop = Position(b.Stop)
	m.Finished = time.Now().UTC().Truncate(time.Microsecond)
	if m.DatabasesAtEnd, err = databases(ctx); err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	return nil
}

// taking is a base backup that is being taken.
type taking struct {
	*uploads
	m        *Manifest
	o        Options
	progress Progress

	objects    []*Object // as they are being stored
	index      *upload
	tablespace uint32  // whose archive it is
	archive    *cutter // nil in front of the first
	group      group   // of the open object
	object     *upload // nil: the next entry begins one
	entry      *header
	at         int64 // where the entry's file is in the object
	sum        hash.Hash
	files      fileSet
	absent     map[string]bool // configuration that has not come with the data directory

	manifest *serverManifest // nil: it has not begun
	copy     *upload         // of it
}

// all receives all there is.
func (t *taking) all(b *replication.Base) error {
	t.index = t.begin(filesKey(t.repo, t.m.ID), &t.m.Index, nil)
	t.sum = newFileSum()
	for {
		p, err := b.Next(t.ctx)
		if err != nil {
			return err
		}
		if p == nil {
			break
		}
		if err := t.part(p); err != nil {
			return err
		}
	}
	return t.end()
}

func (t *taking) part(p *replication.Part) error {
	switch p.Kind {
	case replication.PartArchive:
		return t.beginArchive(p)
	case replication.PartManifest:
		if err := t.endArchive(); err != nil {
			return err
		}
		t.manifest, t.copy = &serverManifest{}, t.begin(backupManifestKey(t.repo, t.m.ID), &t.m.BackupManifest, nil)
		return nil
	case replication.PartData:
		switch {
		case t.manifest != nil:
			return t.manifestData(p.Data)
		case t.archive != nil:
			t.tell(len(p.Data))
			return t.archive.write(p.Data)
		}
		return errors.New("BASE_BACKUP: data come in front of an archive's beginning")
	}
	return nil
}

func (t *taking) manifestData(p []byte) error {
	if _, err := t.manifest.Write(p); err != nil {
		return err
	}
	if t.o.Keep != nil {
		if _, err := t.o.Keep.Write(p); err != nil {
			return fmt.Errorf("keep PostgreSQL's manifest: %w", err)
		}
	}
	return t.copy.write(p)
}

func (t *taking) tell(n int) {
	before := t.progress.Done / bufferSize
	t.progress.Done += int64(n)
	if t.o.Progress != nil && t.progress.Done/bufferSize > before {
		t.o.Progress(t.progress)
	}
}

func (t *taking) beginArchive(p *replication.Part) error {
	if err := t.endArchive(); err != nil {
		return err
	}
	t.tablespace = 0
	if p.Archive != "base.tar" {
		name, _, _ := strings.Cut(p.Archive, ".")
		oid, err := strconv.ParseUint(name, 10, 32)
		if err != nil || !slices.ContainsFunc(t.m.Tablespaces, func(s Tablespace) bool { return s.OID == uint32(oid) }) {
			return fmt.Errorf("BASE_BACKUP: an archive is called %.60q", p.Archive)
		}
		t.tablespace = uint32(oid)
	}
	t.archive = &cutter{begin: t.beginEntry, data: t.data, fill: t.fill, done: t.endEntry}
	return nil
}

func (t *taking) endArchive() error {
	if t.archive == nil {
		return nil
	}
	if err := t.archive.close(); err != nil {
		return err
	}
	t.archive = nil
	return t.endObject()
}

func (t *taking) beginEntry(h *header, raw []byte) error {
	g := groupOf(t.tablespace, h.name)
	if t.object != nil && (g != t.group || t.object.size+block+h.size > t.o.objectSize) {
		if err := t.endObject(); err != nil {
			return err
		}
	}
	if t.object == nil {
		if err := t.beginObject(g); err != nil {
			return err
		}
	}
	t.entry = h
	if t.tablespace == 0 {
		delete(t.absent, h.name)
	}
	t.sum.Reset()
	if err := t.object.write(raw); err != nil {
		return err
	}
	t.at = t.object.size
	return nil
}

func (t *taking) beginObject(g group) (err error) {
	o := &Object{Number: len(t.objects), Tablespace: g.tablespace, Database: g.database, Folder: g.folder}
	t.objects, t.group = append(t.objects, o), g
	t.object, err = t.beginData(o.key(t.repo, t.m), &o.Sums)
	return err
}

func (t *taking) endObject() error {
	if t.object == nil {
		return nil
	}
	o := t.object
	t.object = nil
	return o.end()
}

func (t *taking) data(p []byte) error {
	t.sum.Write(p)
	return t.object.write(p)
}

func (t *taking) fill(p []byte) error { return t.object.write(p) }

func (t *taking) endEntry() error {
	h := t.entry
	if h.folder {
		return nil
	}
	sum, path := t.sum.Sum(nil), pathOf(t.tablespace, h.name)
	o := t.objects[len(t.objects)-1]
	o.Files++
	t.m.Files++
	t.files.add(path, h.size, sum)
	line, err := indexLine(path, o.Number, t.at, h.size, sum)
	if err != nil {
		return err
	}
	return t.index.write(line)
}

// end waits until all is stored, and compares what has come with what the server says it
// has sent.
func (t *taking) end() error {
	if t.manifest == nil {
		return errors.New("BASE_BACKUP: no manifest came")
	}
	err := errors.Join(t.manifest.close(), t.index.end(), t.copy.end(), t.configuration())
	if err != nil {
		return err
	}
	if t.files != t.manifest.files {
		return fmt.Errorf("BASE_BACKUP: the %d files that came are not the %d of the server's manifest", t.files.files, t.manifest.files.files)
	}
	if err := t.wait(); err != nil {
		return err
	}
	for _, o := range t.objects {
		t.m.Objects = append(t.m.Objects, *o)
		t.m.Size, t.m.Stored = t.m.Size+o.Size, t.m.Stored+o.Stored
	}
	if t.o.Progress != nil {
		t.o.Progress(Progress{Done: t.progress.Done, Total: t.progress.Done})
	}
	return nil
}
