package base

import (
	"fmt"
	"regexp"
	"strconv"
)

// group is what goes into the same object: what is of one database in one archive, or of
// none.
type group struct {
	tablespace, database uint32
	folder               string // the database's in the archive
}

var (
	ofDataDirectory = regexp.MustCompile(`^(base/([1-9][0-9]*))(/|$)`)
	ofTablespace    = regexp.MustCompile(`^(PG_[0-9]+_[0-9]+/([1-9][0-9]*))(/|$)`)
)

// groupOf returns the group of an entry of a tablespace's archive, or of the data
// directory's, which is 0.
func groupOf(tablespace uint32, name string) group {
	form := ofDataDirectory
	if tablespace != 0 {
		form = ofTablespace
	}
	if parts := form.FindStringSubmatch(name); parts != nil {
		if oid, err := strconv.ParseUint(parts[2], 10, 32); err == nil {
			return group{tablespace, uint32(oid), parts[1]}
		}
	}
	return group{tablespace: tablespace}
}

// pathOf returns the path in the data directory of a file of an archive.
func pathOf(tablespace uint32, name string) string {
	if tablespace == 0 {
		return name
	}
	return fmt.Sprintf("pg_tblspc/%d/%s", tablespace, name)
}
