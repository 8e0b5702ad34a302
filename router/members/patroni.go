package members

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Patroni says how to ask Patroni who a cluster's members are: see the chapter
// "Patroni REST API" of its manual, GET /cluster.
type Patroni struct {
	URLs    []*url.URL     // of REST APIs, http or https, with user and password where they want them
	CA      *x509.CertPool // that their certificates come from; nil is the system's
	Timeout time.Duration  // for one API to answer; 0 is 2 s
}

// How Patroni is asked.
const (
	patroniTimeout = 2 * time.Second
	patroniResting = time.Second            // between two rounds
	patroniSoon    = 200 * time.Millisecond // while the primary cannot be reached
	patroniSoonest = 100 * time.Millisecond // whatever happens
	maxAnswer      = 1 << 20                // bytes
	maxMembers     = 100
)

// named is a member as Patroni names it.
type named struct {
	address string
	leads   bool
	barred  string // why it is to serve no reads, "" if it may
}

// patroni is the APIs of a cluster. One goroutine asks them.
type patroni struct {
	apis   []*api
	client *http.Client
}

// api is one of them.
type api struct {
	url     *url.URL
	failing bool // it did not answer when it was last asked
}

// name is what logs call it: nothing secret.
func (a *api) name() string { return a.url.Scheme + "://" + a.url.Host }

func newPatroni(cfg *Patroni) *patroni {
	p := &patroni{client: &http.Client{
		Timeout: cmp.Or(cfg.Timeout, patroniTimeout),
		Transport: &http.Transport{ // no proxy: they are beside the servers
			DialContext:         (&net.Dialer{}).DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: cfg.CA},
			MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 10 * patroniResting,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, u := range cfg.URLs {
		p.apis = append(p.apis, &api{url: u.JoinPath("cluster")})
	}
	return p
}

// ask returns the members as the first API names them that answers. The one that
// answered last is asked first. report is told when one begins to fail, and when
// it answers again.
func (p *patroni) ask(ctx context.Context, report func(api string, err error)) (found []named, err error) {
	for i, a := range p.apis {
		found, err = p.askOne(ctx, a)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if failing := err != nil; failing != a.failing {
			a.failing = failing
			report(a.name(), err)
		}
		if err == nil {
			copy(p.apis[1:i+1], p.apis[:i])
			p.apis[0] = a
			return found, nil
		}
	}
	return nil, err
}

func (p *patroni) askOne(ctx context.Context, a *api) ([]named, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.client.Do(request)
	if err != nil {
		if e, ok := err.(*url.Error); ok {
			err = e.Err // the URL is said already
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %q", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return parseCluster(body)
}

// close ends the connections to the APIs.
func (p *patroni) close() { p.client.CloseIdleConnections() }

// parseCluster reads the answer to GET /cluster. A member that is being made has
// no address yet and is left out.
func parseCluster(body []byte) ([]named, error) {
	var cluster struct {
		Members []struct {
			Role, Host string
			Port       int
			Tags       map[string]any
		}
	}
	if err := json.Unmarshal(body, &cluster); err != nil {
		return nil, fmt.Errorf("the answer is no list of members: %w", err)
	}
	var found []named
	seen, leaders := map[string]bool{}, 0
	for _, m := range cluster.Members {
		n := named{address: net.JoinHostPort(m.Host, strconv.Itoa(m.Port)), leads: m.Role == "leader"}
		if m.Host == "" || strings.ContainsAny(m.Host, "/@ \t\r\n\x00") || m.Port < 1 || m.Port > 65535 || seen[n.address] {
			continue
		}
		if on, ok := m.Tags["noloadbalance"].(bool); ok && on {
			n.barred = "noloadbalance"
		}
		if n.leads {
			leaders++
		}
		seen[n.address] = true
		found = append(found, n)
	}
	switch {
	case len(found) == 0:
		return nil, errors.New("the answer names no member")
	case len(found) > maxMembers:
		return nil, fmt.Errorf("the answer names %d members, more than %d", len(found), maxMembers)
	case leaders > 1:
		return nil, fmt.Errorf("the answer names %d leaders", leaders)
	}
	return found, nil
}
