package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"howdah/wire/postgres"
)

// How long a child that died is left alone: more each time, from the start
// again once it has lived for calmTime.
const (
	firstPause = 500 * time.Millisecond
	longPause  = 10 * time.Second
	calmTime   = 30 * time.Second
)

// How `up` spends the 8 seconds it has to stop: transactions may finish, then
// Howdah ends, then the servers do.
const (
	drainTime      = 3 * time.Second
	serveEndTime   = 1 * time.Second
	serversEndTime = 3 * time.Second
)

// readyPatience is how long `up` waits before it says what it waits for.
const readyPatience = 20 * time.Second

// supervised is a child that is started again when it dies.
type supervised interface {
	Start(ctx context.Context) error
	Done() <-chan struct{}
	Outcome() string
}

// supervise keeps the children alive until ctx ends, and says when all is
// ready.
func (u *up) supervise(ctx context.Context, started time.Time) {
	var wg sync.WaitGroup
	for _, c := range []struct {
		name  string
		child supervised
	}{
		{"the primary", restartable{u.primary}},
		{"the standby", restartable{u.standby}},
		{"howdah serve", u.serve},
	} {
		wg.Go(func() { u.keep(ctx, c.name, c.child) })
	}
	wg.Go(func() {
		if u.waitReady(ctx) {
			u.out.ready(u, time.Since(started))
		}
	})
	wg.Wait()
}

// keep starts a child again whenever it has died.
func (u *up) keep(ctx context.Context, name string, child supervised) {
	pause, born := firstPause, time.Now()
	trouble := ""
	for {
		if trouble == "" {
			select {
			case <-ctx.Done():
				return
			case <-child.Done():
				trouble = "ended (" + child.Outcome() + ")"
			}
			if time.Since(born) > calmTime {
				pause = firstPause
			}
		}
		u.out.say("%s %s; starting it again in %v", name, trouble, pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause, born, trouble = min(2*pause, longPause), time.Now(), ""
		if err := child.Start(ctx); err != nil {
			trouble = "did not start (" + err.Error() + ")"
		}
	}
}

// restartable is a server whose dead postmaster may have left backends behind.
type restartable struct{ *postgres.Server }

func (r restartable) Start(ctx context.Context) error {
	clear, cancel := context.WithTimeout(ctx, leftoverTime)
	defer cancel()
	if _, err := r.StopLeftover(clear); err != nil {
		return err
	}
	return r.Server.Start(ctx)
}

// waitReady returns true when Howdah says it is ready and the standby streams,
// false when ctx ended before.
func (u *up) waitReady(ctx context.Context) bool {
	started, told := time.Now(), false
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := u.readiness(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil && !told && time.Since(started) > readyPatience {
			u.out.say("still not ready: %v", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// askOwn makes a request to the serving process, whose certificate need not be for
// 127.0.0.1: nothing secret is sent there.
func askOwn(request *http.Request) (*http.Response, error) {
	believing := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	return believing.RoundTrip(request)
}

func (u *up) readiness(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	streams, err := u.primary.Streaming(ctx, standbySlot)
	if err != nil {
		return err
	}
	if !streams {
		return errors.New("the standby does not stream")
	}
	if u.ports.http == 0 { // switched off in howdah.toml: nobody to ask
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s://127.0.0.1:%d/readyz", u.web, u.ports.http), nil)
	if err != nil {
		return err
	}
	response, err := askOwn(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz: %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return err
}

// stop ends the children: first the one that uses the others.
func (u *up) stop() {
	if u.serve == nil {
		return
	}
	u.out.say("stopping")
	u.serve.stop(drainTime, serveEndTime)
	ctx, cancel := context.WithTimeout(context.Background(), serversEndTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range []*postgres.Server{u.primary, u.standby} {
		if s == nil {
			continue
		}
		wg.Go(func() {
			// A slow disk may have much to write. Nothing is lost by a kill.
			if err := s.Stop(ctx, postgres.Fast); err != nil {
				u.out.say("%v; it recovers when it is started again", err)
			}
		})
	}
	wg.Wait()
}
