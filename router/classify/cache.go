package classify

import (
	"sync"
	"sync/atomic"
)

// entry is a shape with what is known of it.
type entry struct {
	// static after it is made
	shape string

	used   atomic.Bool               // since the cache's hand was here
	judged atomic.Pointer[judgement] // nil while it waits for the parser

	// guarded by the cache's mu
	at   int // in ring
	size int
}

func (e *entry) verdict(catalog *Catalog) Verdict {
	if j := e.judged.Load(); j != nil {
		return j.verdict(catalog)
	}
	return Unknown
}

// cache keeps shapes within bounds. Who must make room is found by a hand that goes
// round: whoever was used since it last came by stays for another round.
type cache struct {
	// static after newCache
	maxEntries, maxBytes int

	mu      sync.RWMutex
	byShape map[string]*entry
	ring    []*entry
	hand    int
	bytes   int
	evicted uint64
}

// overhead is about what an entry takes beside its shape and judgement, in bytes.
const overhead = 128

func newCache(maxEntries, maxBytes int) *cache {
	return &cache{maxEntries: maxEntries, maxBytes: maxBytes, byShape: make(map[string]*entry)}
}

// find returns a shape's entry, nil if there is none.
func (c *cache) find(shape []byte) *entry {
	c.mu.RLock()
	e := c.byShape[string(shape)]
	c.mu.RUnlock()
	if e != nil && !e.used.Load() {
		e.used.Store(true)
	}
	return e
}

// add makes an entry for a shape; nil if there is one already.
func (c *cache) add(shape string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byShape[shape] != nil {
		return nil
	}
	e := &entry{shape: shape, at: len(c.ring), size: overhead + len(shape)}
	c.byShape[shape] = e
	c.ring = append(c.ring, e)
	c.bytes += e.size
	c.makeRoomLocked(e)
	return e
}

// settle notes the judgement of an entry, which may be gone meanwhile.
func (c *cache) settle(e *entry, j *judgement) {
	e.judged.Store(j)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byShape[e.shape] == e {
		e.size += j.size()
		c.bytes += j.size()
		c.makeRoomLocked(e)
	}
}

func (c *cache) remove(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byShape[e.shape] == e {
		c.removeLocked(e)
	}
}

// makeRoomLocked evicts others than newest until all is within bounds.
func (c *cache) makeRoomLocked(newest *entry) {
	for len(c.ring) > c.maxEntries || c.bytes > c.maxBytes && len(c.ring) > 1 {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e == newest || e.used.Swap(false) {
			c.hand++
			continue
		}
		c.removeLocked(e) // the ring's last is at the hand now
		c.evicted++
	}
}

func (c *cache) removeLocked(e *entry) {
	last := len(c.ring) - 1
	c.ring[e.at] = c.ring[last]
	c.ring[e.at].at = e.at
	c.ring[last] = nil
	c.ring = c.ring[:last]
	delete(c.byShape, e.shape)
	c.bytes -= e.size
}

func (c *cache) stats() Stats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return Stats{Shapes: len(c.ring), Bytes: c.bytes, Evicted: c.evicted}
}
