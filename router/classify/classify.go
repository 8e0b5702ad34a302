package classify

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Verdict says whether a statement may run at a standby.
type Verdict uint8

const (
	Unknown Verdict = iota // its shape was not seen before, or not lately: until it is judged it may not
	Unsafe
	Safe
)

func (v Verdict) String() string {
	switch v {
	case Safe:
		return "safe"
	case Unsafe:
		return "unsafe"
	}
	return "unknown"
}

// MaxShape bounds the shapes that are looked at, in bytes: longer ones are Unsafe. It
// keeps the parser, which is recursive, within its stack.
const MaxShape = 8 << 10

// Options say how much a Classifier may take. 0 stands for the default.
type Options struct {
	Shapes  int  // most shapes that are known at a time; 10,000
	Bytes   int  // most memory that they take, about; 16 MB
	Parsers int  // goroutines that parse; 1
	Queue   int  // most shapes that wait for them, more are forgotten; 256
	Cursors bool // DECLARE of a cursor WITHOUT HOLD may be Safe: for transactions, not for single statements
}

// Stats are a Classifier's numbers.
type Stats struct {
	Shapes  int    // that are known or wait
	Bytes   int    // that they take, about
	Parsed  uint64 // shapes so far
	Dropped uint64 // shapes so far that found the queue full
	Evicted uint64 // shapes so far that had to make room
}

// Classifier judges the statements of any number of databases. Its methods may be
// called by several goroutines.
type Classifier struct {
	// static after New
	cursors bool
	queue   chan *entry
	quit    chan struct{}

	known   *cache
	parsers sync.WaitGroup
	parsed  atomic.Uint64
	dropped atomic.Uint64
}

// New makes a Classifier and starts its parsers, which Close ends.
func New(o Options) *Classifier {
	c := &Classifier{
		cursors: o.Cursors,
		queue:   make(chan *entry, or(o.Queue, 256)),
		quit:    make(chan struct{}),
		known:   newCache(or(o.Shapes, 10_000), or(o.Bytes, 16<<20)),
	}
	for range or(o.Parsers, 1) {
		c.parsers.Go(c.parse)
	}
	return c
}

func or(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

// Close ends the parsers, after what they have begun. From then on new shapes stay
// Unknown.
func (c *Classifier) Close() {
	close(c.quit)
	c.parsers.Wait()
}

// Verdict judges statements of a shape in the database that has this catalog, nil for
// one that is not known yet. It does not keep shape, waits for nobody's parser and does
// not allocate if the shape is known.
func (c *Classifier) Verdict(shape []byte, catalog *Catalog) Verdict {
	if len(shape) == 0 || len(shape) > MaxShape {
		return Unsafe
	}
	if e := c.known.find(shape); e != nil {
		return e.verdict(catalog)
	}
	c.ask(string(shape))
	return Unknown
}

// ask has a shape parsed, unless too many wait already.
func (c *Classifier) ask(shape string) {
	e := c.known.add(shape)
	if e == nil {
		return // somebody else was faster
	}
	select {
	case c.queue <- e:
	default:
		c.dropped.Add(1)
		c.known.remove(e)
	}
}

func (c *Classifier) parse() {
	for {
		select {
		case <-c.quit:
			return
		case e := <-c.queue:
			j := judge(e.shape, c.cursors)
			j.place = uint8(maphash.String(placeSeed, e.shape))
			c.known.settle(e, j)
			c.parsed.Add(1)
		}
	}
}

// placeSeed makes the places of judgements in catalogs' memories.
var placeSeed = maphash.MakeSeed()

// Stats returns the numbers so far.
func (c *Classifier) Stats() Stats {
	s := c.known.stats()
	s.Parsed, s.Dropped = c.parsed.Load(), c.dropped.Load()
	return s
}

// judgement is what the parser finds out about a shape.
type judgement struct {
	unsafe  bool     // in every database
	names   []Name   // that must all be safe, or it is not
	columns []string // that must not be calls
	values  bool     // what has them may be no row
	place   uint8    // in catalogs' memories
}

// verdict tells what a judgement means in a database.
func (j *judgement) verdict(catalog *Catalog) Verdict {
	if j.unsafe || catalog == nil || catalog.doubtful {
		return Unsafe
	}
	if catalog.safeLately[j.place].Load() == j {
		return Safe
	}
	for _, n := range j.names {
		if !catalog.safe(n) {
			return Unsafe
		}
	}
	if catalog.attributes {
		for _, column := range j.columns {
			if catalog.calls(column, !j.values) {
				return Unsafe
			}
		}
	}
	catalog.safeLately[j.place].Store(j)
	return Safe
}

// size is about how much memory a judgement takes, in bytes.
func (j *judgement) size() int {
	n := 64
	for _, name := range j.names {
		n += 24 + len(name.Text)
	}
	for _, column := range j.columns {
		n += 16 + len(column)
	}
	return n
}
