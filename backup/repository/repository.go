package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"howdah/backup/replication"
	"howdah/backup/store"
)

var (
	// ErrForeign is of a repository in which another cluster has written.
	ErrForeign = errors.New("repository: it is another cluster's")
	// ErrEmpty is of a repository in which nobody has written.
	ErrEmpty = errors.New("repository: there is none")
)

// Repository is what a store holds of one cluster.
type Repository struct {
	Store   store.Store
	Sealer  *store.Sealer
	Cluster string // its name, as howdah.toml or the catalog has it
}

// Identity says whose a repository is. It never changes.
type Identity struct {
	Format  int             `json:"format"`
	Cluster string          `json:"cluster"`
	System  string          `json:"system_identifier"`
	Major   int             `json:"major"`            // PostgreSQL's version
	Segment replication.LSN `json:"wal_segment_size"` // bytes
	Since   time.Time       `json:"since"`
}

// format is the number of the layout that is written here.
const format = 1

// Key returns the key of something in the repository.
func (r *Repository) Key(parts ...string) string {
	return "clusters/" + r.Cluster + "/" + strings.Join(parts, "/")
}

// CheckCluster says whether a cluster of that name can have a repository: its name is a
// part of keys.
func CheckCluster(name string) error {
	if strings.Contains(name, "/") {
		return fmt.Errorf("cluster %q cannot be backed up: its name has a slash", name)
	}
	return store.CheckKey("clusters/" + name + "/x")
}

// Claim makes the repository a server's cluster's, unless it is that already.
func (r *Repository) Claim(ctx context.Context, s replication.Server) (*Identity, error) {
	if err := CheckCluster(r.Cluster); err != nil {
		return nil, err
	}
	i := &Identity{Format: format, Cluster: r.Cluster, System: s.System, Major: s.Major, Segment: s.Segment, Since: time.Now().UTC().Truncate(time.Second)}
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return nil, err
	}
	err = r.Store.PutIfAbsent(ctx, r.Key("identity"), text, store.WithSum(text))
	if err == nil {
		return i, nil
	}
	if !errors.Is(err, store.ErrExists) {
		return nil, fmt.Errorf("claim the repository of cluster %q: %w", r.Cluster, err)
	}
	there, err := r.Identity(ctx)
	if err != nil {
		return nil, err
	}
	return there, there.check(s)
}

// check is ErrForeign unless the server is of the cluster whose identity this is.
func (i *Identity) check(s replication.Server) error {
	switch {
	case i.System != s.System:
		return fmt.Errorf("%w: what the store has of cluster %q is of the system %s, and the server is %s; back it up under another name, or to another prefix", ErrForeign, i.Cluster, i.System, s.System)
	case i.Major != s.Major || i.Segment != s.Segment:
		return fmt.Errorf("%w: what the store has of cluster %q is of PostgreSQL %d with WAL segments of %d bytes, and the server has %d with %d", ErrForeign, i.Cluster, i.Major, i.Segment, s.Major, s.Segment)
	}
	return nil
}

// identityMost is more than an identity has bytes.
const identityMost = 64 << 10

// Identity reads whose the repository is. ErrEmpty is that nobody has claimed it.
func (r *Repository) Identity(ctx context.Context) (*Identity, error) {
	if err := CheckCluster(r.Cluster); err != nil {
		return nil, err
	}
	text, sum, err := r.read(ctx, r.Key("identity"), identityMost)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w of cluster %q: nothing has ever been backed up under that name", ErrEmpty, r.Cluster)
	}
	if err != nil {
		return nil, fmt.Errorf("read whose the repository of cluster %q is: %w", r.Cluster, err)
	}
	i := &Identity{}
	if sum != "" && sum != store.WithSum(text)[store.SumMeta] {
		return nil, fmt.Errorf("%w: %q is not what was stored", store.ErrDamaged, r.Key("identity"))
	}
	if err := json.Unmarshal(text, i); err != nil || i.System == "" || i.Segment == 0 || i.Major == 0 {
		return nil, fmt.Errorf("%w: %q does not say whose the repository is", store.ErrDamaged, r.Key("identity"))
	}
	if i.Format > format {
		return nil, fmt.Errorf("the repository of cluster %q has format %d; this Howdah reads up to %d: use a newer one", r.Cluster, i.Format, format)
	}
	return i, nil
}

// read reads an object that has at most so many bytes, and what its sum should be; "" is
// that it does not say.
func (r *Repository) read(ctx context.Context, key string, most int64) (text []byte, sum string, err error) {
	body, info, err := r.Store.Get(ctx, key, 0, most)
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	text, err = io.ReadAll(body)
	return text, info.Meta[store.SumMeta], err
}
