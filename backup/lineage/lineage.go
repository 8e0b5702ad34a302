package lineage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// format is the number of the layout that is written here.
const format = 1

// Record says which database a tenant has from a moment on.
type Record struct {
	Format    int             `json:"format"`
	Tenant    string          `json:"tenant_id"` // a UUID
	Name      string          `json:"tenant"`    // as it is called then
	Database  string          `json:"database,omitempty"`
	OID       uint32          `json:"oid"` // 0: it has none here
	System    string          `json:"system_identifier"`
	LSN       replication.LSN `json:"lsn"`  // what happened is in front of it
	Time      time.Time       `json:"time"` // by the server's clock; it had happened before
	What      string          `json:"what"` // the kind of the operation
	Operation string          `json:"operation"`
}

// plain is a Record whose position is written as PostgreSQL does.
type plain Record

// MarshalJSON has the LSN be written as PostgreSQL does.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		plain
		LSN string `json:"lsn"`
	}{plain(r), r.LSN.String()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Record) UnmarshalJSON(text []byte) (err error) {
	read := struct {
		*plain
		LSN string `json:"lsn"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	r.LSN, err = replication.ParseLSN(read.LSN)
	return err
}

// ids are such as make good keys: UUIDs.
var ids = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func prefix(repo *repository.Repository, tenant string) string {
	return repo.Key("lineage", tenant) + "/"
}

// Put stores a record. The repository must be that of the cluster that it is about, else it
// is repository.ErrForeign. It may be put again.
func Put(ctx context.Context, repo *repository.Repository, r Record) error {
	if !ids.MatchString(r.Tenant) || !ids.MatchString(r.Operation) {
		return fmt.Errorf("record the database of tenant %q: %q and it are no UUIDs", r.Tenant, r.Operation)
	}
	identity, err := repo.Identity(ctx)
	if err != nil {
		return err
	}
	if identity.System != r.System {
		return fmt.Errorf("%w: what the store has of cluster %q is of the system %s, and tenant %q has its database in %s", repository.ErrForeign, repo.Cluster, identity.System, r.Name, r.System)
	}
	r.Format = format
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	err = repo.Store.PutIfAbsent(ctx, fmt.Sprintf("%s%016X-%s", prefix(repo, r.Tenant), uint64(r.LSN), r.Operation), text, store.WithSum(text))
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record the database of tenant %q: %w", r.Name, err)
	}
	return nil
}

// errNewer is of a record that is of a newer Howdah.
var errNewer = errors.New("use a newer one")

// recordMost is more than a record has bytes.
const recordMost = 64 << 10

// List returns what is recorded of a tenant, in the order of the WAL.
func List(ctx context.Context, repo *repository.Repository, tenant string) (all []Record, err error) {
	if !ids.MatchString(tenant) {
		return nil, fmt.Errorf("tenant %q: it is no UUID", tenant)
	}
	for info, err := range repo.Store.List(ctx, prefix(repo, tenant)) {
		if err != nil {
			return nil, fmt.Errorf("list what is recorded of tenant %s: %w", tenant, err)
		}
		r, err := read(ctx, repo, info.Key)
		if err != nil {
			return nil, fmt.Errorf("read what is recorded of tenant %s: %w", tenant, err)
		}
		if r.Tenant == tenant {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func read(ctx context.Context, repo *repository.Repository, key string) (r Record, err error) {
	text, err := store.ReadPlain(ctx, repo.Store, key, recordMost)
	if err == nil && json.Unmarshal(text, &r) != nil {
		err = fmt.Errorf("%w: it is no record", store.ErrDamaged)
	}
	if err != nil {
		return r, fmt.Errorf("%q: %w", key, err)
	}
	if r.Format > format {
		return r, fmt.Errorf("%q has format %d; this Howdah reads up to %d: %w", key, r.Format, format, errNewer)
	}
	return r, nil
}

// Around returns the last record that is not after a moment, nil where there is none, and
// the first that is after it: what that one tells of had happened before it was written, and
// so possibly before the moment. after says of a record whether it is.
func Around(all []Record, after func(*Record) bool) (last, next *Record) {
	for i := range all {
		if after(&all[i]) {
			return last, &all[i]
		}
		last = &all[i]
	}
	return last, nil
}
