package router_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/wire"
)

// crowd is a number of clients that query all the time.
type crowd struct {
	stop    chan struct{}
	wg      sync.WaitGroup
	queries atomic.Int64

	mu   sync.Mutex
	errs map[string]int // by SQLSTATE, or by text where there is none
}

// crowd starts n clients of acme. A client that fails logs in again. Each
// query shows that its answer is its own.
func (d *door) crowd(n int) *crowd {
	c := &crowd{stop: make(chan struct{}), errs: map[string]int{}}
	for i := range n {
		c.wg.Go(func() {
			for k := 0; !c.stopped(); {
				if err := c.visit(d, i, &k); err != nil {
					c.note(err)
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return c
}

func (c *crowd) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// visit is one connection of client i.
func (c *crowd) visit(d *door, i int, k *int) error {
	r, err := d.tryRaw("acme")
	if err != nil {
		return err
	}
	defer r.Close()
	for !c.stopped() {
		*k++
		marker := fmt.Sprintf("%d-%d", i, *k)
		got, err := r.talk(query("select '" + marker + "'"))
		if err == nil && len(got) == 3 && got[0] == "row "+marker {
			c.queries.Add(1)
			continue
		}
		if err != nil && len(got) > 0 {
			if code, ok := strings.CutPrefix(got[len(got)-1], "error "); ok {
				return &wire.Error{Code: code}
			}
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("client %d asked for %s and got %q", i, marker, got)
	}
	return r.send(terminate)
}

func (c *crowd) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := state(err)
	if text == "" {
		text = err.Error()
	}
	c.errs[text]++
}

// visitors has clients of a tenant log in, ask and leave again and again, until the
// returned function is called; that returns the errors they met.
func (d *door) visitors(tenant string) (leave func() map[string]int) {
	c := &crowd{stop: make(chan struct{}), errs: map[string]int{}}
	for range 2 {
		c.wg.Go(func() {
			for !c.stopped() {
				r, err := d.tryRaw(tenant)
				if err == nil {
					_, err = r.talk(query("select 1"))
					r.Close()
				}
				if err != nil {
					c.note(err)
				}
			}
		})
	}
	return c.leave
}

// await waits until n more queries have been answered.
func (c *crowd) await(t *testing.T, n int64) {
	t.Helper()
	target := c.queries.Load() + n
	if !poll(func() bool { return c.queries.Load() >= target }) {
		t.Fatalf("only %d of %d queries were answered in %v; errors: %v", c.queries.Load()-target+n, n, patience, c.errors())
	}
}

func (c *crowd) errors() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := map[string]int{}
	for text, n := range c.errs {
		copied[text] = n
	}
	return copied
}

// leave ends the crowd and returns the errors it met.
func (c *crowd) leave() map[string]int {
	close(c.stop)
	c.wg.Wait()
	return c.errors()
}
