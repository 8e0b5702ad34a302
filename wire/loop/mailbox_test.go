package loop_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"howdah/wire/loop"
)

// What one goroutine posts runs in its order, whatever others post.
func TestMailboxKeepsOrder(t *testing.T) {
	t.Parallel()
	l := start(t)
	const senders, each = 32, 1000
	var got [senders][]int // the loop's thread
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				if !l.Post(func() { got[s] = append(got[s], i) }) {
					t.Error("the loop has stopped")
				}
				if i%100 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	on(t, l, func() {
		for s := range got {
			if len(got[s]) != each {
				t.Errorf("sender %d: %d of %d ran", s, len(got[s]), each)
			}
			for i, v := range got[s] {
				if v != i {
					t.Fatalf("sender %d: %d ran in place %d", s, v, i)
				}
			}
		}
	})
}

// A post from the loop's own thread runs in a later turn, without any other
// event.
func TestPostFromTheLoopItself(t *testing.T) {
	t.Parallel()
	l := start(t)
	done := make(chan int)
	var step func(n int)
	step = func(n int) {
		if n == 1000 {
			done <- n
			return
		}
		l.Post(func() { step(n + 1) })
	}
	l.Post(func() { step(0) })
	await(t, done, "a thousand posts")
}

// Every post is answered truthfully: true means that it ran, false that it
// never will, also in the middle of Stop.
func TestPostAroundStop(t *testing.T) {
	t.Parallel()
	for range 50 {
		l, err := loop.New()
		if err != nil {
			t.Fatal(err)
		}
		go l.Run()
		var accepted, ran atomic.Int64
		var senders sync.WaitGroup
		for range 4 {
			senders.Go(func() {
				for l.Post(func() { ran.Add(1) }) {
					accepted.Add(1)
				}
			})
		}
		on(t, l, func() {})
		var stops sync.WaitGroup
		stops.Go(l.Stop)
		stops.Go(l.Stop) // twice, at a time
		stops.Wait()
		senders.Wait()
		if l.Post(func() { ran.Add(1) }) {
			t.Error("Post after Stop says that it will run")
		}
		if accepted.Load() != ran.Load() {
			t.Fatalf("%d posts were accepted, %d ran", accepted.Load(), ran.Load())
		}
	}
}

func TestStopClosesConnections(t *testing.T) {
	t.Parallel()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	fd, peer := unixPair(t)
	told := false
	c := adopt(t, l, fd, &handler{readable: func(*loop.Conn) { told = true }})
	l.Stop()
	if !c.Closed() || told {
		t.Errorf("closed %v, handler told %v", c.Closed(), told)
	}
	if _, err := peer.Read(make([]byte, 1)); err == nil {
		t.Error("the peer did not see the end")
	}
}
