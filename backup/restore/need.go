package restore

import "slices"

// Need is what a restore takes, as far as the plan tells.
type Need struct {
	Objects  int   // of the base backup that are fetched
	Fetch    int64 // their bytes in the store
	Unpack   int64 // and unpacked, which is the room that they take
	Database int64 // of that, the database's own
	WAL      int64 // bytes that are read, at most, and before they were compressed
}

// Need says what getting the database takes.
func (d *Database) Need(p *Plan) (n Need) {
	want := d.fetched(p.Base)
	keep := d.kept(p.Base, want)
	n.WAL = p.WALBytes()
	for _, o := range p.Base.Objects {
		if o.Database == 0 || slices.Contains(keep, o.Database) {
			n.Objects++
			n.Fetch += o.Stored
			n.Unpack += o.Size
			if want != 0 && o.Database == want {
				n.Database += o.Size
			}
		}
	}
	return n
}
