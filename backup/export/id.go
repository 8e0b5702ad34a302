package export

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"howdah/backup/store"
)

const (
	manifests = "exports/manifests/"
	data      = "exports/data/"
	timeForm  = "20060102T150405Z"
)

// idForm is a name, a time and six random letters.
var idForm = regexp.MustCompile(`^([^/\x00-\x1f\x7f]{1,100})\.([0-9]{8}T[0-9]{6}Z)\.([0-9a-z]{6})$`)

// ErrID is of what can be no export's id.
var ErrID = errors.New("that is no export's id, which looks like acme.20260131T120000Z.k3jx7q")

// NewID names an export of a tenant. Those of one tenant are ordered by time.
func NewID(tenant string, at time.Time) (string, error) {
	id := tenant + "." + at.UTC().Format(timeForm) + "." + random()
	return id, CheckID(id)
}

// CheckID is ErrID for what can be no export's id.
func CheckID(id string) error {
	if !idForm.MatchString(id) || store.CheckKey(manifests+id) != nil {
		return fmt.Errorf("export %.120q: %w", id, ErrID)
	}
	return nil
}

// TenantOf returns the name in an id, "" if it is none.
func TenantOf(id string) string {
	if parts := idForm.FindStringSubmatch(id); parts != nil {
		return parts[1]
	}
	return ""
}

func random() string { return strings.ToLower(rand.Text()[:6]) }
