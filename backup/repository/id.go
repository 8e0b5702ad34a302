package repository

import (
	"crypto/rand"
	"regexp"
	"strings"
	"time"
)

var idForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z\.[0-9a-z]{6}$`)

// NewID names something that was made at a time: by the time and six random letters, such as
// 20260131T120000Z.k3jx7q. In the order of their names they are in that of their times.
func NewID(at time.Time) string {
	return at.UTC().Format("20060102T150405Z") + "." + strings.ToLower(rand.Text()[:6])
}

// IsID reports whether a text has the form of what NewID returns.
func IsID(text string) bool { return idForm.MatchString(text) }
