// Package browsertest has a real browser show a page in tests: Chromium without a window.
//
// Open starts one and speaks its DevTools protocol with it over a pair of pipes, one JSON
// object after the other, each ended by a NUL; tab.go does there what a person would do.
package browsertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for how long something may take that takes a moment.
const patience = 30 * time.Second

// names are what Chromium is called where it is installed.
func names() []string {
	return []string{os.Getenv("HOWDAH_CHROMIUM"), "chromium-headless-shell", "chromium", "google-chrome", "google-chrome-stable", "chromium-browser"}
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range names() {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: apt-get install chromium-headless-shell, or say by HOWDAH_CHROMIUM where one is")
	return ""
}

// message is what goes over the pipes, in either direction.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// browser is one that runs.
type browser struct {
	to   io.Writer
	tell func(message) // what happened there; called by the reader alone

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	ended   error
}

// start runs a browser until the test ends.
func start(t testing.TB, tell func(message)) *browser {
	t.Helper()
	program := find(t)
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "howdah-browser-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{in, out}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "TZ=Europe/Brussels", "LANG=C.UTF-8")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	b := &browser{to: to, tell: tell, waiting: map[int]chan message{}}
	read := make(chan struct{})
	go func() { defer close(read); b.read(from) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it has nothing that is to be kept
		_ = cmd.Wait()
		to.Close()
		from.Close()
		<-read
		for end := time.Now().Add(patience); os.RemoveAll(profile) != nil; time.Sleep(10 * time.Millisecond) { // while what it has started dies
			if time.Now().After(end) {
				t.Errorf("%s cannot be removed", profile)
				return
			}
		}
	})
	return b
}

// read hands on what the browser says.
func (b *browser) read(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(text[:len(text)-1], &m)
		}
		if err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.ended = fmt.Errorf("read from the browser: %w", err)
			for id, answer := range b.waiting {
				close(answer)
				delete(b.waiting, id)
			}
			return
		}
		if m.ID == 0 {
			b.tell(m)
			continue
		}
		b.mu.Lock()
		answer := b.waiting[m.ID]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// call asks the browser for something, and reads its answer into result, if that is not nil.
func (b *browser) call(session, method string, params, result any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer := make(chan message, 1)
	if err := b.send(&message{Session: session, Method: method, Params: text}, answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: the browser has ended", method)
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-time.After(patience):
		return fmt.Errorf("%s: %w", method, errors.New("the browser does not answer"))
	}
}

func (b *browser) send(m *message, answer chan message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended != nil {
		return b.ended
	}
	b.last++
	m.ID = b.last
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	b.waiting[m.ID] = answer
	_, err = b.to.Write(append(text, 0))
	return err
}
