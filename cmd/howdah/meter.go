package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"howdah/provision/dump"
)

// meter shows on a terminal how far something is, and how fast it goes. A nil one shows
// nothing.
type meter struct {
	out         io.Writer
	part        string // of what is done
	begun, last time.Time
}

// meter returns one, nil where nobody would see it.
func (p *printer) meter(cmd *cobra.Command) *meter {
	if p.json || !isTerminal(os.Stderr) {
		return nil
	}
	return &meter{out: cmd.ErrOrStderr()}
}

// tell shows it, five times a second at most. The rate is that of the part.
func (m *meter) tell(part string, done, total int64) {
	now := time.Now()
	if m == nil || total == 0 || part == m.part && now.Sub(m.last) < time.Second/5 {
		return
	}
	if m.begun.IsZero() || part != m.part {
		m.part, m.begun = part, now
	}
	m.last = now
	text := fmt.Sprintf("%s %s of %s", bar(done, total), dump.Size(done), dump.Size(total))
	if took := now.Sub(m.begun).Seconds(); took > 0.1 {
		text += fmt.Sprintf(", %s/s", dump.Size(int64(float64(done)/took)))
	}
	if part != "" {
		text = part + " " + text
	}
	fmt.Fprintf(m.out, "\r\x1b[K%s", text)
}

// end removes what is shown.
func (m *meter) end() {
	if m != nil && !m.last.IsZero() {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}
