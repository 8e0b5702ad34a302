package wal

// tally counts bytes of WAL by the OID of the database that they are of. It is asked for once
// for each record: what was counted for a database last is at hand.
type tally struct {
	recent [4096]counted
	rest   map[uint32]int64
}

type counted struct {
	oid   uint32
	bytes int64
}

func (t *tally) add(oid uint32, n int64) {
	c := &t.recent[oid%uint32(len(t.recent))]
	if c.oid != oid {
		t.put(c)
		c.oid = oid
	}
	c.bytes += n
}

// put puts away what was counted for a database.
func (t *tally) put(c *counted) {
	if c.bytes == 0 {
		return
	}
	if t.rest == nil {
		t.rest = map[uint32]int64{}
	}
	t.rest[c.oid] += c.bytes
	c.bytes = 0
}

// take gives away what was counted, and begins anew.
func (t *tally) take(give func(oid uint32, n int64)) {
	for i := range t.recent {
		t.put(&t.recent[i])
	}
	for oid, n := range t.rest {
		give(oid, n)
	}
	clear(t.rest)
}
