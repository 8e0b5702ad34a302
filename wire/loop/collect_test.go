package loop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// slowestCollection is how long one garbage collection may take beside a loop.
const slowestCollection = 10 * time.Millisecond

// A garbage collection is never held up by loops, idle or busy: a thread that
// makes raw system calls and passes no preemption point hung it for ever. Time
// for which the kernel had a thread of ours wait for a processor is the
// machine's and does not count, and a noisy one gets three tries. (Not
// parallel: it measures time.)
func TestGarbageCollectionsBesideLoops(t *testing.T) {
	start(t) // idle
	pingPong(t, start(t), 0)
	pingPong(t, start(t), 500*time.Microsecond) // nearly always in its short wait
	var slowest time.Duration
	for range 3 {
		if slowest = collect(1000); slowest < slowestCollection {
			return
		}
	}
	t.Errorf("the slowest of 1000 collections took %v, want less than %v", slowest, slowestCollection)
}

// collect runs n garbage collections and returns how long the slowest took,
// less the time for which threads were ready and the kernel ran others.
func collect(n int) (slowest time.Duration) {
	for range n {
		before := runDelay()
		begin := time.Now()
		runtime.GC()
		took := time.Since(begin)
		if took >= slowestCollection {
			took -= runDelay() - before
		}
		slowest = max(slowest, took)
	}
	return slowest
}

// runDelay returns how long the process's threads have waited on run queues,
// all together (Linux, Documentation/scheduler/sched-stats.rst); 0 where the
// kernel does not say.
func runDelay() (sum time.Duration) {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if fields := strings.Fields(string(text)); err == nil && len(fields) == 3 {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				sum += time.Duration(n)
			}
		}
	}
	return sum
}

// pingPong sends messages over one connection of l's and back, a pause between
// each and the next, until the test ends.
func pingPong(t *testing.T, l *loop.Loop, pause time.Duration) {
	fd, peer := blockingPair(t)
	adopt(t, l, fd, echo{})
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		message := make([]byte, 100)
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-time.After(pause):
			}
			_, err := unix.Write(peer, message)
			if err == nil {
				_, err = unix.Read(peer, message)
			}
			if err != nil && err != unix.EINTR {
				stopped <- fmt.Errorf("ping-pong: %w", err)
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := await(t, stopped, "the end of the ping-pong"); err != nil {
			t.Error(err)
		}
	})
}
