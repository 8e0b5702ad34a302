package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// defaultURL is where the admin HTTP is if HOWDAH_URL does not say so.
const defaultURL = "http://127.0.0.1:8432"

// client talks to the HTTP API of a running Howdah.
type client struct {
	url, token string
	http       *http.Client
	header     http.Header // of all its requests; may be nil
	poolerAt   string      // where clients reach the tenants, as far as that can be told from here
}

// newClient finds out where Howdah is, and with what token: HOWDAH_URL and HOWDAH_TOKEN,
// else the .howdah folder of `howdah up` here or above.
func newClient() (*client, error) {
	c := &client{url: os.Getenv("HOWDAH_URL"), token: os.Getenv("HOWDAH_TOKEN")}
	trusted, folder := os.Getenv("HOWDAH_CA_FILE"), findFolder()
	if c.url == "" {
		c.url = defaultURL
		if folder != "" {
			trusted = c.useConfig(upFolder(folder).config(), trusted)
		}
	}
	c.url = strings.TrimRight(c.url, "/")
	if c.poolerAt == "" {
		c.poolerAt = poolerBeside(c.url)
	}
	var err error
	if c.http, err = newHTTP(trusted, os.Getenv("HOWDAH_CERT_FILE"), os.Getenv("HOWDAH_KEY_FILE")); err != nil {
		return nil, err
	}
	if c.token == "" && folder != "" {
		text, err := os.ReadFile(upFolder(folder).token())
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		c.token = strings.TrimSpace(string(text))
	}
	if c.token == "" && os.Getenv("HOWDAH_CERT_FILE") == "" {
		return nil, usageError{errors.New("no token: set HOWDAH_TOKEN, or run this where a .howdah folder is or below")}
	}
	return c, nil
}

// useConfig takes from the file of `howdah up` where its Howdah is, and returns whose
// certificates to believe.
func (c *client) useConfig(path, trusted string) string {
	cfg, err := LoadConfig(path)
	if err != nil {
		return trusted
	}
	if len(cfg.Listen.Addresses) > 0 {
		c.poolerAt = cfg.Listen.Addresses[0]
	}
	if cfg.Admin.HTTP == "" {
		return trusted
	}
	c.url = cfg.Admin.URL()
	if trusted == "" {
		trusted = cfg.Admin.TLSCertFile // it may be signed by itself
	}
	return trusted
}

// poolerBeside is the pooler's address where nothing more is known than the API's.
func poolerBeside(api string) string {
	const port = ":6432"
	u, err := url.Parse(api)
	if err != nil || u.Hostname() == "" {
		return "127.0.0.1" + port
	}
	return u.Hostname() + port
}

// newHTTP returns a client that believes the system's authorities and those of a file, and
// shows a certificate, each if it is given.
func newHTTP(trusted, cert, key string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if trusted != "" {
		pem, err := os.ReadFile(trusted)
		if err != nil {
			return nil, fmt.Errorf("read HOWDAH_CA_FILE: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read HOWDAH_CA_FILE: no certificate in %q", trusted)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, cmp.Or(key, cert))
		if err != nil {
			return nil, fmt.Errorf("read HOWDAH_CERT_FILE and HOWDAH_KEY_FILE: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config}}, nil
}

// findFolder returns the .howdah folder of the current directory or the nearest above,
// "" for none.
func findFolder() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		folder := filepath.Join(dir, ".howdah")
		if _, err := os.Stat(upFolder(folder).token()); err == nil {
			return folder
		}
		if filepath.Dir(dir) == dir {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// problem is an error of the API (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Title  string `json:"title"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`

	after time.Duration // when it may be asked again; 0 = it was not said
}

func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		if !strings.Contains(text, e.Message) {
			text += "; " + strings.TrimPrefix(e.Location, "body.") + ": " + e.Message
		}
	}
	return text
}

// Unwrap says what the error is to the shell.
func (p *problem) Unwrap() error {
	switch p.Status {
	case http.StatusNotFound:
		return errNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return errConflict
	}
	return nil
}

// unavailableFor is for how long a Howdah is asked again that says that it cannot answer
// yet: it may have been started just now, or be asked too much.
const unavailableFor = 5 * time.Second

// patiently has ask be tried again while Howdah says that it cannot answer yet.
func patiently(ctx context.Context, ask func() error) error {
	for end := time.Now().Add(unavailableFor); ; {
		err := ask()
		var p *problem
		if !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable && p.Status != http.StatusTooManyRequests || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(max(p.after, unavailableFor/20)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// do makes a request and reads its answer into into, unless that is nil.
func (c *client) do(ctx context.Context, method, path string, body, into any) error {
	return patiently(ctx, func() error { return c.once(ctx, method, path, body, into) })
}

// once is do without patience.
func (c *client) once(ctx context.Context, method, path string, body, into any) error {
	answer, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	text, err := io.ReadAll(answer)
	if err != nil {
		return fmt.Errorf("read Howdah's answer: %w", err)
	}
	if into == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read Howdah's answer: %w", err)
	}
	return nil
}

// open makes a request whose answer is read as it comes.
func (c *client) open(ctx context.Context, path string) (answer io.ReadCloser, err error) {
	err = patiently(ctx, func() error {
		answer, err = c.ask(ctx, http.MethodGet, path, nil)
		return err
	})
	return answer, err
}

// ask makes a request. What is no success is a *problem.
func (c *client) ask(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	for segment := range strings.SplitSeq(path, "/") {
		if segment, _, _ = strings.Cut(segment, "?"); segment == "." || segment == ".." { // it would lead elsewhere
			return nil, fmt.Errorf("%w: nothing is called %q", errNotFound, segment)
		}
	}
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+"/api/v1"+path, sent)
	if err != nil {
		return nil, fmt.Errorf("ask Howdah at %q: %w", c.url, err)
	}
	for name, values := range c.header {
		r.Header[name] = values
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask Howdah: %w; does it run? HOWDAH_URL says where", err)
	}
	if answer.StatusCode < http.StatusBadRequest {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	p := &problem{Status: answer.StatusCode}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		p.after = time.Duration(seconds) * time.Second
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || json.Unmarshal(text, p) != nil {
		p.Detail = answer.Status + ": " + strings.TrimSpace(string(text))
	}
	return nil, p
}

// job is an operation as the API tells it.
type job struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Tenant   string    `json:"tenant"`
	State    string    `json:"state"`
	Step     string    `json:"step"`
	Done     int       `json:"done"`
	Total    int       `json:"total"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Node     string    `json:"node"`
	Actor    string    `json:"actor"`
	Created  time.Time `json:"created"`

	Result json.RawMessage `json:"result,omitempty"`
}

// jobPause is between two attempts to follow a job.
const jobPause = 100 * time.Millisecond

// errUndone is of a job that has left nothing behind.
var errUndone = errors.New("was undone")

// wait waits until a job has ended, and tells its progress: Howdah says whenever it has
// changed. Where that is cut off, as by a restart, it is followed anew.
func (c *client) wait(ctx context.Context, id string, progress func(*job)) error {
	for {
		j, err := c.followJob(ctx, id, progress)
		if err != nil {
			return err
		}
		switch j.State {
		case "done":
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("job %s is %s, and %w: %s", id, j.State, errUndone, j.Error)
		case "attention":
			return fmt.Errorf("job %s needs attention at step %q: %s; mend that, then `howdah job resume %s`, or `howdah job cancel %s`", id, j.Step, j.Error, id, id)
		}
		select {
		case <-time.After(jobPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// followJob reads the events of a job until it has ended or waits for somebody, and
// returns it as it was seen last.
func (c *client) followJob(ctx context.Context, id string, progress func(*job)) (*job, error) {
	var last job
	if err := c.do(ctx, http.MethodGet, "/jobs/"+id, nil, &last); err != nil || last.over() { // events of a job that is not there are none
		return &last, err
	}
	progress(&last)
	events, err := c.open(ctx, "/jobs/"+id+"/events")
	if err != nil {
		return nil, err
	}
	defer events.Close()
	for lines := bufio.NewScanner(events); lines.Scan() && !last.over(); {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var now job
		if err := json.Unmarshal([]byte(text), &now); err != nil {
			return nil, fmt.Errorf("read the events of job %s: %w", id, err)
		}
		last = now
		progress(&last)
	}
	return &last, ctx.Err()
}

// over reports whether a job does not go on by itself.
func (j *job) over() bool {
	return j.State == "done" || j.State == "failed" || j.State == "cancelled" || j.State == "attention"
}
