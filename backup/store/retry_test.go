package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

// Behind a network on which every third call fails, Retry is a store like any,
// and so it is between Limit and Meter.
func TestRetryKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, madeDir, func(t *testing.T, where string) store.Store {
		var n atomic.Int64
		third := func(call string) error {
			if call != "Write" && call != "Close" && call != "Page" && n.Add(1)%3 == 0 {
				return errNetwork
			}
			return nil
		}
		return &store.Limit{Rates: store.NewRates(1<<40, 1<<40), Store: &store.Retry{Store: &store.Meter{Counts: &store.Counts{}, Store: &faulty{
			Store:  openDir(t, where),
			before: func(_ context.Context, call string) error { return third(call) },
		}}, Pause: time.Microsecond, Tries: 20}}
	})
}

// calls are all methods, on a store with objects a/1 and a/2.
func calls(ctx context.Context, s store.Store) map[string]func() error {
	return map[string]func() error{
		"Put":         func() error { return s.Put(ctx, "k", []byte("x"), nil) },
		"PutIfAbsent": func() error { return s.PutIfAbsent(ctx, "new", []byte("x"), nil) },
		"Delete":      func() error { return s.Delete(ctx, "k") },
		"Stat": func() error {
			info, err := s.Stat(ctx, "a/1")
			if err == nil && info.Size != 1 {
				return fmt.Errorf("Stat says %+v", info)
			}
			return err
		},
		"Get": func() error {
			r, _, err := s.Get(ctx, "a/1", 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			data, err := io.ReadAll(r)
			if err == nil && string(data) != "x" {
				return fmt.Errorf("it reads %q", data)
			}
			return err
		},
		"Create": func() error {
			w, err := s.Create(ctx, "k", nil)
			if err == nil {
				w.Abort()
			}
			return err
		},
		"List": func() error {
			var keys []string
			for info, err := range s.List(ctx, "a/") {
				if err != nil {
					return err
				}
				keys = append(keys, info.Key)
			}
			if !slices.Equal(keys, []string{"a/1", "a/2"}) {
				return fmt.Errorf("List yields %q", keys)
			}
			return nil
		},
	}
}

// eachCall runs a test for each method, in a bubble of its own time.
func eachCall(t *testing.T, test func(t *testing.T, call string, f *faulty)) {
	for call := range calls(t.Context(), nil) {
		t.Run(call, func(t *testing.T) {
			d := openDir(t, madeDir(t))
			mustPut(t, d, "a/1", "x")
			mustPut(t, d, "a/2", "x")
			synctest.Test(t, func(t *testing.T) { test(t, call, &faulty{Store: d}) })
		})
	}
}

func TestRetryTriesAgain(t *testing.T) {
	eachCall(t, func(t *testing.T, call string, f *faulty) {
		fails := 3
		f.before = func(context.Context, string) error {
			if fails--; fails >= 0 {
				return errNetwork
			}
			return nil
		}
		start := time.Now()
		if err := calls(t.Context(), &store.Retry{Store: f})[call](); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); f.calls[call] != 4 || took < 1050*time.Millisecond || took > 1750*time.Millisecond {
			t.Errorf("%d tries in %v, want 4 in about 200+400+800 ms", f.calls[call], took)
		}
	})
}

func TestRetryGivesUp(t *testing.T) {
	eachCall(t, func(t *testing.T, call string, f *faulty) {
		f.before = func(context.Context, string) error { return errNetwork }
		start := time.Now()
		err := calls(t.Context(), &store.Retry{Store: f, Tries: 10, Pause: time.Second})[call]()
		if !errors.Is(err, errNetwork) || f.calls[call] != 10 {
			t.Errorf("after %d tries: %v, want 10 and the network's error", f.calls[call], err)
		}
		// 1+2+4+8+10+10+10+10+10 seconds, give or take a quarter.
		if took := time.Since(start); took < 48*time.Second || took > 82*time.Second {
			t.Errorf("it took %v, want about 65 s", took)
		}
	})
}

func TestRetryTakesAnAnswer(t *testing.T) {
	eachCall(t, func(t *testing.T, call string, f *faulty) {
		for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrInvalid, store.ErrDamaged, fs.ErrPermission} {
			f.calls = nil
			f.before = func(context.Context, string) error { return fmt.Errorf("it says %w", answer) }
			if err := calls(t.Context(), &store.Retry{Store: f})[call](); !errors.Is(err, answer) || f.calls[call] != 1 {
				t.Errorf("after %d tries: %v, want 1 and %v", f.calls[call], err, answer)
			}
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	eachCall(t, func(t *testing.T, call string, f *faulty) {
		f.before = func(context.Context, string) error { return errNetwork }
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		err := calls(ctx, &store.Retry{Store: f, Pause: time.Minute})[call]()
		if took := time.Since(start); took != 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v, want the context's error after 2 s", took, err)
		}
		// What else failed is no reason to name another cause.
		if err := calls(ctx, &store.Retry{Store: f, Tries: 1})[call](); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the last try: %v, want the context's error", err)
		}
	})
}

// parked waits as a call does on a connection that nothing comes from.
func parked(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRetryDoesNotPark(t *testing.T) {
	eachCall(t, func(t *testing.T, call string, f *faulty) {
		f.before = parked
		start := time.Now()
		err := calls(t.Context(), &store.Retry{Store: f, Tries: 3})[call]()
		if took := time.Since(start); took < 6*time.Minute || took > 6*time.Minute+2*time.Second {
			t.Errorf("it took %v, want 3 times 2 minutes", took)
		}
		if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stalled") {
			t.Errorf("%v, want one that says it stalled, and not that its caller cancelled", err)
		}
	})
}

func TestRetryStreamsDoNotPark(t *testing.T) {
	d := openDir(t, madeDir(t))
	mustPut(t, d, "k", "hello")
	for _, stuck := range []string{"Write", "Close", "Read"} {
		t.Run(stuck, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &faulty{Store: d, before: func(ctx context.Context, call string) error {
					if call == stuck {
						return parked(ctx, call)
					}
					return nil
				}}
				if stuck == "Read" {
					f.reading = func(ctx context.Context, _ io.Reader, _ []byte) (int, error) { return 0, parked(ctx, "Read") }
				}
				s := &store.Retry{Store: f, Tries: 2, Stall: time.Minute}
				start := time.Now()
				var err error
				if stuck == "Read" {
					_, err = readAll(t, s, 0, -1)
				} else {
					err = write(t.Context(), s, "new", "x")
				}
				if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stalled") {
					t.Errorf("%v, want one that says it stalled", err)
				}
				if took := time.Since(start); took < time.Minute || took > 3*time.Minute {
					t.Errorf("it took %v", took)
				}
				if _, err := d.Stat(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("what stalled is there: %v", err)
				}
			})
		})
	}
}

func TestRetryListDoesNotPark(t *testing.T) {
	d := openDir(t, madeDir(t))
	mustPut(t, d, "a", "x")
	mustPut(t, d, "b", "x")
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: d}
		f.before = func(ctx context.Context, call string) error {
			if call == "Page" && f.calls[call]%2 == 0 {
				return parked(ctx, call)
			}
			return nil
		}
		start := time.Now()
		var keys []string
		var err error
		for info, listErr := range (&store.Retry{Store: f, Tries: 2}).List(t.Context(), "") {
			if err = listErr; err == nil {
				keys = append(keys, info.Key)
			}
		}
		if took := time.Since(start); took < 4*time.Minute || took > 5*time.Minute {
			t.Errorf("it took %v, want 2 times 2 minutes", took)
		}
		if err == nil || !strings.Contains(err.Error(), "stalled") || !slices.Equal(keys, []string{"a"}) {
			t.Errorf("it yields %q and %v, want one key and that it stalled", keys, err)
		}
	})
}

func write(ctx context.Context, s store.Store, key, data string) error {
	w, err := s.Create(ctx, key, nil)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, data); err != nil {
		return err
	}
	return w.Close()
}

func readAll(t *testing.T, s store.Store, offset, length int64) ([]byte, error) {
	t.Helper()
	r, _, err := s.Get(t.Context(), "k", offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// A caller may take its time: only the store's is counted.
func TestRetryWaitsForSlowCallers(t *testing.T) {
	d := openDir(t, madeDir(t))
	mustPut(t, d, "k", "hello")
	mustPut(t, d, "l", "x")
	synctest.Test(t, func(t *testing.T) {
		s := &store.Retry{Store: d, Stall: time.Second, Tries: 1}
		listed := 0
		for _, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Error(err)
			}
			listed++
			time.Sleep(time.Hour)
		}
		if listed != 2 {
			t.Errorf("%d listed", listed)
		}
		r, _, err := s.Get(t.Context(), "k", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 5 {
			time.Sleep(time.Hour)
			if n, err := r.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Error(n, err)
			}
		}
		w, err := s.Create(t.Context(), "new", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for range 3 {
			time.Sleep(time.Hour)
			if _, err := w.Write([]byte("x")); err != nil {
				t.Error(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A big Write may take longer than one may stall, as long as it gets on.
func TestRetryLetsBigWritesTakeTheirTime(t *testing.T) {
	d := openDir(t, madeDir(t))
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: d, writing: func(n int) { time.Sleep(time.Duration(n) * 40 * time.Microsecond) }}
		s := &store.Retry{Store: f, Stall: time.Minute} // for a megabyte in 42 s
		if err := write(t.Context(), s, "k", strings.Repeat("x", 5<<20)); err != nil {
			t.Error(err)
		}
		if info, err := d.Stat(t.Context(), "k"); err != nil || info.Size != 5<<20 {
			t.Errorf("stored is %+v, %v", info, err)
		}
	})
}

func TestRetryAbortLeavesNothing(t *testing.T) {
	where := madeDir(t)
	w, err := (&store.Retry{Store: openDir(t, where)}).Create(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "x"); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if left := filesIn(t, where, "tmp"); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

func TestRetryPutIfAbsentKnowsItsOwn(t *testing.T) {
	d := openDir(t, madeDir(t))
	synctest.Test(t, func(t *testing.T) {
		lost := true
		f := &faulty{Store: d, after: func(string) error {
			if lost = !lost; !lost {
				return errNetwork
			}
			return nil
		}}
		s := &store.Retry{Store: f}
		meta := map[string]string{"by": "me"}
		if err := s.PutIfAbsent(t.Context(), "k", []byte("mine"), meta); err != nil || f.calls["PutIfAbsent"] != 2 {
			t.Errorf("its answer was lost: %v, after %d tries", err, f.calls["PutIfAbsent"])
		}
		f.after = nil
		if err := s.PutIfAbsent(t.Context(), "k", []byte("mine"), meta); !errors.Is(err, store.ErrExists) {
			t.Errorf("no answer was lost: %v, want ErrExists", err)
		}
		for what, put := range map[string]func(context.Context) error{
			"data":     func(ctx context.Context) error { return s.PutIfAbsent(ctx, "k", []byte("your"), meta) },
			"metadata": func(ctx context.Context) error { return s.PutIfAbsent(ctx, "k", []byte("mine"), nil) },
		} {
			fails := 1
			f.before = func(context.Context, string) error {
				if fails--; fails >= 0 {
					return errNetwork
				}
				return nil
			}
			if err := put(t.Context()); !errors.Is(err, store.ErrExists) {
				t.Errorf("another's %s is there: %v, want ErrExists", what, err)
			}
		}
	})
}

func TestRetryReadsOn(t *testing.T) {
	d := openDir(t, madeDir(t))
	data := noise(10_000)
	if err := d.Put(t.Context(), "k", data, nil); err != nil {
		t.Fatal(err)
	}
	for _, breaks := range []error{errNetwork, io.EOF, io.ErrUnexpectedEOF} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{Store: d}
			left := map[io.Reader]int{}
			f.reading = func(_ context.Context, r io.Reader, p []byte) (int, error) {
				if _, ok := left[r]; !ok {
					left[r] = 3000
				}
				n, err := r.Read(p[:min(len(p), left[r])])
				if left[r] -= n; left[r] == 0 && err == nil {
					err = breaks
				}
				return n, err
			}
			s := &store.Retry{Store: f}
			for _, r := range []struct{ offset, length, begin, end int64 }{
				{0, -1, 0, 10_000},
				{500, 6000, 500, 6500},
				{-7000, -1, 3000, 10_000},
				{-7000, 20_000, 3000, 10_000},
				{2000, 3000, 2000, 5000},
			} {
				got, err := readAll(t, s, r.offset, r.length)
				if err != nil || !bytes.Equal(got, data[r.begin:r.end]) {
					t.Errorf("broken by %v, %d from %d: %d bytes, %v", breaks, r.length, r.offset, len(got), err)
				}
			}
			f.calls = nil
			s.Tries = 3
			if got, err := readAll(t, s, 0, -1); !errors.Is(err, breaks) && !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 9000 || f.calls["Get"] != 3 {
				t.Errorf("broken by %v, opened %d times: %d bytes, %v, want 3 times and 9000", breaks, f.calls["Get"], len(got), err)
			}
		})
	}
}

func TestRetryReadsOneVersion(t *testing.T) {
	d := openDir(t, madeDir(t))
	mustPut(t, d, "k", strings.Repeat("a", 1000))
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: d}
		f.reading = func(_ context.Context, r io.Reader, p []byte) (int, error) {
			n, _ := r.Read(p[:min(len(p), 100)])
			mustPut(t, d, "k", strings.Repeat("b", 1000))
			return n, errNetwork
		}
		got, err := readAll(t, &store.Retry{Store: f}, 0, -1)
		if err == nil || string(got) != strings.Repeat("a", 100) {
			t.Errorf("it reads %q, %v, want an error after 100 of a", got, err)
		}
	})
}

func TestRetryListsEachOnce(t *testing.T) {
	d := openDir(t, madeDir(t))
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("k/%02d", i))
		mustPut(t, d, want[i], "x")
	}
	synctest.Test(t, func(t *testing.T) {
		pages := 0
		f := &faulty{Store: d, before: func(_ context.Context, call string) error {
			if call == "Page" {
				if pages++; pages == 10 || pages == 25 {
					return errNetwork
				}
			}
			return nil
		}}
		var keys []string
		for info, err := range (&store.Retry{Store: f}).List(t.Context(), "k/") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
		if !slices.Equal(keys, want) || f.calls["List"] != 3 {
			t.Errorf("in %d tries it yields %q", f.calls["List"], keys)
		}
	})
}
