package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// upPrinter writes what `up` has to say, whole lines from many goroutines.
type upPrinter struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

// say writes one line.
func (p *upPrinter) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "howdah up: "+format+"\n", args...)
}

// ready says what to try. Passwords appear once, at the first start.
func (p *upPrinter) ready(u *up, took time.Duration) {
	p.say("ready in %.1f s; everything is in %s; Ctrl-C stops it and keeps the data", took.Seconds(), u.folder)
	p.mu.Lock()
	defer p.mu.Unlock()
	line := func(command, what string) { fmt.Fprintf(p.w, "  %-76s # %s\n", command, what) }
	if len(u.tenants) == 0 {
		fmt.Fprintf(p.w, "\nLog in with a line of %s:\n", u.folder.credentials())
		line(fmt.Sprintf(`psql "$(grep /acme$ %s)"`, u.folder.credentials()), "through Howdah")
		line(fmt.Sprintf(`psql "$(grep /howdah$ %s)"`, u.folder.credentials()), "the console: SHOW POOLS;")
	} else {
		fmt.Fprintf(p.w, "\nTry (the passwords are kept in %s):\n", u.folder.credentials())
		for _, user := range u.tenants {
			what := "tenant " + user.name + ", through Howdah"
			if user.name == consoleUser {
				what = "the console: SHOW HELP; SHOW POOLS;"
			}
			line(fmt.Sprintf("psql %q", user.url(u.ports.pooler)), what)
		}
	}
	line(fmt.Sprintf("psql -h %s -p %d -U postgres", u.primary.SocketDir(), u.ports.primary), "the primary itself")
	line(fmt.Sprintf("psql -h %s -p %d -U postgres", u.standby.SocketDir(), u.ports.standby), "the standby")
	if u.ports.http != 0 {
		line(fmt.Sprintf("%s://127.0.0.1:%d/", u.web, u.ports.http), "the page, for a browser; a token is in "+u.folder.token())
		line(fmt.Sprintf("curl %s://127.0.0.1:%d/metrics", u.web, u.ports.http), "what Prometheus reads")
	}
	fmt.Fprintln(p.w)
}
