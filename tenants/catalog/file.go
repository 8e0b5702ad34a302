package catalog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Save keeps contents in a file, whole or not at all, for when the catalog is away. The
// file holds verifiers: only its owner may read it.
func (c *Contents) Save(path string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("save the catalog's contents: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return fmt.Errorf("save the catalog's contents: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
		return fmt.Errorf("save the catalog's contents: %w", err)
	}
	return nil
}

// ReadContents reads what Save wrote.
func ReadContents(path string) (*Contents, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the catalog's contents: %w", err)
	}
	var c Contents
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read the catalog's contents from %q: %w", path, err)
	}
	return &c, nil
}

// Follows reports whether contents may be what comes after before in one history: a
// catalog that was put back to an earlier time has a lower revision, or another one
// under the same number.
func (c *Contents) Follows(before *Contents) bool {
	return c.Revision > before.Revision || c.Revision == before.Revision && c.Stamp == before.Stamp
}
