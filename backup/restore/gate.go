package restore

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// ErrInvalidPage is of WAL that is about a page that is not there and should be.
var ErrInvalidPage = errors.New("restore: what was restored is not whole")

// InvalidPages is ErrInvalidPage, and how many lines of the server's log tell of such pages.
type InvalidPages struct {
	Lines int
	First string // the relation's file that the first of them is about
}

func (e *InvalidPages) Error() string {
	return fmt.Sprintf("%v: WAL is about a page of %s that is not there; lines that tell of such pages: %d", ErrInvalidPage, e.First, e.Lines)
}

func (e *InvalidPages) Unwrap() error { return ErrInvalidPage }

// invalid is a line of the log that tells of a page that WAL is about and that is not
// there; the path has the OID of the database, or is one of those that all share.
var invalid = regexp.MustCompile(`page \d+ of relation (\S+) (?:does not exist|is uninitialized)`)

// gate is InvalidPages where a page was missing that is no left-out database's.
func (r *recovery) gate(kept func(database uint32) bool) error {
	found := &InvalidPages{}
	for pass := range r.passes {
		text, err := os.ReadFile(r.logOf(pass + 1))
		if err != nil {
			return err
		}
		for _, line := range invalid.FindAllSubmatch(text, -1) {
			path := string(line[1])
			if oid, ok := databaseOf(path); ok && !kept(oid) {
				continue
			}
			if found.Lines++; found.Lines == 1 {
				found.First = path
			}
		}
	}
	if found.Lines > 0 {
		return found
	}
	return nil
}

// databaseOf returns the database that a relation's file is of: base/<oid>/1259, or in a
// tablespace pg_tblspc/16385/PG_15_202209061/<oid>/1259. It has none if all share it, as
// global/1262.
func databaseOf(path string) (oid uint32, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(parts[len(parts)-2], 10, 32)
	return uint32(n), err == nil
}
