package base

import (
	"errors"
	"fmt"

	"howdah/backup/repository"
)

// ErrID is of what can be no base backup's id.
var ErrID = errors.New("that is no base backup's id, which looks like 20260131T120000Z.k3jx7q")

func checkID(id string) error {
	if !repository.IsID(id) {
		return fmt.Errorf("base backup %.60q: %w", id, ErrID)
	}
	return nil
}

// Where the objects of base backups are. With an id of "" it is the prefix of all.
func manifestKey(r *repository.Repository, id string) string { return r.Key("base", "manifests", id) }
func dataPrefix(r *repository.Repository, id string) string  { return r.Key("base", "data", id) }
func indexPrefix(r *repository.Repository, id string) string { return r.Key("base", "index", id) }

// markKey is where it says that a base backup is being taken.
func markKey(r *repository.Repository, id string) string { return r.Key("base", "running", id) }

// key returns the key of an object with data.
func (o *Object) key(r *repository.Repository, m *Manifest) string {
	return fmt.Sprintf("%s/%06d", dataPrefix(r, m.ID), o.Number)
}

// filesKey and backupManifestKey return the keys of the two lists of a base backup's files.
func filesKey(r *repository.Repository, id string) string { return indexPrefix(r, id) + "/files" }

func backupManifestKey(r *repository.Repository, id string) string {
	return indexPrefix(r, id) + "/backup_manifest"
}
