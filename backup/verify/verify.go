package verify

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // Odoo's names
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"howdah/backup/base"
	"howdah/backup/export"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/wal"
)

// Verification says what is to be read again.
type Verification struct {
	Repo *repository.Repository
	// Exports are where exports of the cluster's tenants are; nil is in its own store.
	Exports []*export.Place
	// Away says why others, where exports may be too, cannot be looked at.
	Away []error
	// Backup is the id of a base backup that alone is looked at, with the WAL from its start
	// on; "" is all there is, with the exports of the cluster's tenants.
	Backup string
	// Open has objects be decrypted, and what is in them be compared too. It needs a key.
	Open bool
	// Progress, if not nil, is told how many bytes of how many were read, often, by one
	// goroutine at a time.
	Progress func(done, total int64)
}

// Finding is something that is not as it should be.
type Finding struct {
	What    string `json:"what"` // an object's key, or which backup or export
	Problem string `json:"problem"`
}

// Report is what was found.
type Report struct {
	Cluster string `json:"cluster"`
	Objects int    `json:"objects"` // of WAL, and small ones
	Bytes   int64  `json:"bytes"`   // that were read
	Exports int    `json:"exports"`
	// Damage is what cannot be restored, or no more as it was meant.
	Damage []Finding `json:"damage"`
	// Unread are exports, or places of some, that could not be read: nobody knows how they are.
	Unread []Finding `json:"unread,omitempty"`
	// Notes are worth a look: gaps that are recorded, and objects that nobody of us has
	// written.
	Notes []Finding `json:"notes"`
	Bases []Reach   `json:"base_backups"` // the newest first
}

// Reach is how far WAL leads from a base backup on.
type Reach struct {
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Until    string    `json:"until"` // LSN
	Timeline uint32    `json:"timeline"`
	// Before is a time before which all that was committed can be restored; nil is that it
	// is not known.
	Before *time.Time `json:"before,omitempty"`
	// Hole says what is missing there; "" is that it is the end of what is stored.
	Hole string `json:"hole,omitempty"`
}

// parallel is how many objects are read at a time.
const parallel = 4

// verifying is a Verification that is being made.
type verifying struct {
	*Verification
	identity *repository.Identity
	only     *base.Manifest // nil: all
	bases    []base.Manifest
	exports  []placed

	mu     sync.Mutex // guards what follows
	report Report
	done   int64
	total  int64
}

// Run reads it. An error is that it could not be done; what is damaged is in the report.
func (v *Verification) Run(ctx context.Context) (*Report, error) {
	s := &verifying{Verification: v, report: Report{Cluster: v.Repo.Cluster, Damage: []Finding{}, Notes: []Finding{}, Bases: []Reach{}}}
	if err := s.run(ctx); err != nil {
		return nil, fmt.Errorf("verify what is stored of cluster %q: %w", v.Repo.Cluster, err)
	}
	byWhat := func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Problem, b.Problem))
	}
	slices.SortFunc(s.report.Damage, byWhat)
	slices.SortFunc(s.report.Unread, byWhat)
	slices.SortFunc(s.report.Notes, byWhat)
	return &s.report, nil
}

func (s *verifying) run(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := make(chan func() error)
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for task := range tasks {
				if err := task(); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := s.each(ctx, func(task func() error) error {
		select {
		case tasks <- task:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(tasks)
	all.Wait()
	if err = cmp.Or(context.Cause(ctx), err); err != nil {
		return err
	}
	return s.reaches(ctx)
}

// look finds out what there is, and how much.
func (s *verifying) look(ctx context.Context) (err error) {
	there := false
	for info, err := range s.Repo.Store.List(ctx, s.Repo.Key("")) {
		if err != nil {
			return err
		}
		there = true
		if s.Backup == "" && !isOfBase(s.Repo, info.Key) {
			s.total += max(info.Size, 0)
		}
	}
	s.identity, err = s.Repo.Identity(ctx)
	if err != nil {
		if !there || !isFinding(err) {
			return err
		}
		s.damaged(s.Repo.Key("identity"), err)
	}
	if s.Backup != "" {
		if s.only, err = base.Read(ctx, s.Repo, s.Backup); err != nil {
			return err
		}
		chain, err := base.Chain(ctx, s.Repo, s.only)
		if err != nil {
			return err
		}
		for _, m := range chain {
			s.bases = append(s.bases, *m)
		}
	} else if err := s.lookAtAll(ctx); err != nil {
		return err
	}
	s.whose()
	for i := range s.bases {
		if missing := s.bases[i].ConfigurationMissing; missing != "" {
			s.note("base backup "+s.bases[i].ID, fmt.Sprintf("not all of the configuration outside of the data directory is in it: %q", missing))
		}
		s.total += s.bases[i].VerifySize(s.Open)
	}
	return nil
}

// lookAtAll reads all manifests, and says what is odd about what has none.
func (s *verifying) lookAtAll(ctx context.Context) (err error) {
	s.bases, err = base.List(ctx, s.Repo)
	if err := s.findAll("base backups", err); err != nil {
		return err
	}
	_, err = base.Holds(ctx, s.Repo)
	if err := s.findAll("holds", err); err != nil {
		return err
	}
	unfinished, odd, err := base.ListUnfinished(ctx, s.Repo)
	if err != nil {
		return err
	}
	for i := range unfinished {
		s.note("base backup "+unfinished[i].ID, "it has no manifest: it is being taken, or was never finished")
	}
	for _, id := range odd {
		s.note(fmt.Sprintf("base backup %.100q", id), "that is no base backup's id")
	}
	places := s.Exports
	if places == nil {
		places = []*export.Place{{Store: s.Repo.Store, Sealer: s.Repo.Sealer}}
	}
	for _, err := range s.Away {
		s.unread("exports", err)
	}
	for _, place := range places {
		if err := s.lookAtExports(ctx, place); ctx.Err() != nil {
			return err
		} else if err != nil { // what else there is of the cluster does not wait for that
			s.unread("exports", err)
		}
	}
	s.report.Exports = len(s.exports)
	return nil
}

// placed is an export, and where it is.
type placed struct {
	*export.Place
	about export.Manifest
}

func (s *verifying) lookAtExports(ctx context.Context, place *export.Place) error {
	all, err := place.List(ctx, "")
	if err := s.findAll("exports", err); err != nil {
		return err
	}
	for _, m := range all {
		if m.Cluster == s.Repo.Cluster || m.Cluster == "" {
			s.exports = append(s.exports, placed{place, m})
			s.total += s.exportSize(&m)
		}
	}
	_, err = place.Holds(ctx)
	return s.findAll("holds of exports", err)
}

func (s *verifying) exportSize(m *export.Manifest) int64 {
	if s.Open {
		return m.Size
	}
	return m.Stored
}

// whose looks whether the manifests agree with the identity, and stands in for one that
// cannot be read.
func (s *verifying) whose() {
	if s.identity == nil && len(s.bases) > 0 {
		m := &s.bases[0]
		s.identity = &repository.Identity{Cluster: m.Cluster, System: m.System, Major: m.Major, Segment: m.Segment}
	}
	for i := range s.bases {
		m, is := &s.bases[i], s.identity
		if m.System != is.System || m.Major != is.Major || m.Segment != is.Segment || is.Cluster != s.Repo.Cluster {
			s.damaged("base backup "+m.ID, fmt.Errorf("it is of the system %s (PostgreSQL %d, WAL segments of %d bytes), and the repository of cluster %q is that of %s (%d, %d)",
				m.System, m.Major, m.Segment, is.Cluster, is.System, is.Major, is.Segment))
		}
	}
}

// each gives away what is to be read.
func (s *verifying) each(ctx context.Context, do func(func() error) error) error {
	for i := range s.bases {
		m := &s.bases[i]
		if err := do(func() error { return s.base(ctx, m) }); err != nil {
			return err
		}
	}
	for i := range s.exports {
		m := &s.exports[i]
		if err := do(func() error { return s.export(ctx, m) }); err != nil {
			return err
		}
	}
	if s.identity == nil {
		s.note(s.Repo.Key("wal"), "nothing of it was looked at: it is not known how large its segments are")
	} else if err := s.wal(ctx, do); err != nil {
		return err
	}
	if s.only != nil {
		return nil
	}
	for info, err := range s.Repo.Store.List(ctx, s.Repo.Key("")) {
		if err != nil {
			return err
		}
		if isOfBase(s.Repo, info.Key) || strings.HasPrefix(info.Key, s.Repo.Key("wal")+"/") {
			continue
		}
		if err := do(func() error { return s.small(ctx, info) }); err != nil {
			return err
		}
	}
	return nil
}

// isOfBase says whether an object is looked at by a base backup's manifest.
func isOfBase(r *repository.Repository, key string) bool {
	return strings.HasPrefix(key, r.Key("base", "data")+"/") || strings.HasPrefix(key, r.Key("base", "index")+"/")
}

func (s *verifying) base(ctx context.Context, m *base.Manifest) error {
	err := base.Verify(ctx, s.Repo, m, s.Open, s.from(func(p base.Progress) int64 { return p.Done }))
	if err != nil && s.Open && ctx.Err() == nil { // the first that is damaged ends it: are there more?
		if more := base.Verify(ctx, s.Repo, m, false, nil); more != nil {
			err = more
		}
	}
	return s.found(ctx, "base backup "+m.ID, err)
}

// from tells how far an object of several is, by what its own progress says.
func (s *verifying) from(done func(base.Progress) int64) func(base.Progress) {
	before := int64(0)
	return func(p base.Progress) {
		now := done(p)
		s.read(now - before)
		before = now
	}
}

func (s *verifying) export(ctx context.Context, at *placed) error {
	m := &at.about
	before := int64(0)
	progress := func(done int64) {
		s.read(done - before)
		before = done
	}
	var err error
	if s.Open {
		err = at.VerifyFiles(ctx, m, progress)
	} else {
		_, err = at.Verify(ctx, m.ID, progress)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil // removed since
	}
	if err != nil && ctx.Err() == nil && !isFinding(err) { // it may be in a store of its own
		s.unread("export "+m.ID, err)
		return nil
	}
	return s.found(ctx, "export "+m.ID, err)
}

// wal has the WAL be read.
func (s *verifying) wal(ctx context.Context, do func(func() error) error) error {
	for o, err := range wal.Objects(ctx, s.Repo, s.identity.Segment) {
		if err != nil {
			return err
		}
		if o.Odd != nil {
			s.note(o.Key, o.Odd.Error())
			continue
		}
		if s.only != nil && !o.History && o.Start+s.identity.Segment <= s.bases[0].Start.LSN {
			continue
		}
		err = do(func() error {
			err := wal.Verify(ctx, s.Repo, s.identity, &o, s.Open)
			if errors.Is(err, store.ErrNotFound) { // a larger one has taken its place
				return nil
			}
			s.one(o.Size)
			return s.found(ctx, o.Key, err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// small checks an object that has the sum of itself beside it, or in it.
func (s *verifying) small(ctx context.Context, info store.Info) error {
	if info.Size < 0 {
		return s.found(ctx, info.Key, fmt.Errorf("%w: object %q", store.ErrDamaged, info.Key))
	}
	for _, read := range []string{"manifests", "holds"} { // they were read, and what is wrong is told
		if strings.HasPrefix(info.Key, s.Repo.Key("base", read)+"/") {
			s.one(info.Size)
			return nil
		}
	}
	if strings.HasPrefix(info.Key, s.Repo.Key("filestore")+"/") && strings.Contains(info.Key, "/files/") {
		return s.file(ctx, info)
	}
	body, now, err := s.Repo.Store.Get(ctx, info.Key, 0, -1)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return s.found(ctx, info.Key, err)
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		return s.found(ctx, info.Key, err)
	}
	s.one(info.Size)
	switch want := now.Meta[store.SumMeta]; want {
	case hex.EncodeToString(sum.Sum(nil)):
		return nil
	case "":
		if _, err := store.Verify(ctx, s.Repo.Store, info.Key); err != nil {
			s.note(info.Key, "nothing says what it should be")
		}
		return nil
	}
	return s.found(ctx, info.Key, fmt.Errorf("%w: it is not what was stored", store.ErrDamaged))
}

// file checks a file of a filestore, whose name is the SHA-1 of it.
func (s *verifying) file(ctx context.Context, info store.Info) error {
	s.one(info.Size)
	if _, err := store.Verify(ctx, s.Repo.Store, info.Key); err != nil || !s.Open {
		return s.found(ctx, info.Key, err)
	}
	in, _, err := s.Repo.Sealer.Open(ctx, s.Repo.Store, info.Key)
	if err != nil {
		return s.found(ctx, info.Key, err)
	}
	defer in.Close()
	sum := sha1.New()
	_, err = io.Copy(sum, in)
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != path.Base(info.Key) {
		err = fmt.Errorf("%w: it is another file than its name says", store.ErrDamaged)
	}
	return s.found(ctx, info.Key, err)
}

func (s *verifying) one(bytes int64) {
	s.mu.Lock()
	s.report.Objects++
	s.mu.Unlock()
	s.read(max(bytes, 0))
}

func (s *verifying) read(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += bytes
	s.report.Bytes = s.done
	if s.Progress != nil {
		s.Progress(s.done, max(s.total, s.done))
	}
}

// isFinding says whether an error tells of what is stored, and not of trouble on the way.
func isFinding(err error) bool {
	for _, is := range []error{store.ErrDamaged, store.ErrNotFound, store.ErrNoIdentity, base.ErrNewer, base.ErrID, export.ErrNewer, export.ErrID, repository.ErrForeign, repository.ErrEmpty, wal.ErrHole} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// found notes what an error tells of something, and returns it if it is trouble.
func (s *verifying) found(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !isFinding(err):
		return err
	}
	s.damaged(what, err)
	return nil
}

// findAll is found for an error that joins several.
func (s *verifying) findAll(what string, err error) error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		if err != nil && !isFinding(err) {
			return err
		}
		if err != nil {
			s.damaged(what, err)
		}
	}
	return nil
}

// damaged notes damage, a line for each of the errors that err joins.
func (s *verifying) damaged(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.SplitSeq(err.Error(), "\n") {
		s.report.Damage = append(s.report.Damage, Finding{what, line})
	}
}

func (s *verifying) unread(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Unread = append(s.report.Unread, Finding{what, err.Error()})
}

func (s *verifying) note(what, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Notes = append(s.report.Notes, Finding{what, problem})
}

// lsn prints a position.
func lsn(p replication.Position) string { return fmt.Sprintf("%s on timeline %d", p.LSN, p.Timeline) }
