package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// report is what is printed at the end.
type report struct {
	machine string
	peer    string // "" is PgBouncer
	rows    []*row
	notes   []string
}

// row is one figure of all contenders, a sample per run. Samples with one index
// were taken in one pair.
type row struct {
	figure  string // with its unit
	samples [3]series
	target  target
}

// target is what the project wants of a row; the zero value is nothing.
type target struct {
	text  string
	holds func(ratio, value float64) bool
	alone bool // is of Howdah's value, so that PgBouncer's is not needed
}

func ratioAtLeast(bound float64) target {
	return target{text: fmt.Sprintf("ratio ≥ %.2f", bound), holds: func(ratio, _ float64) bool { return ratio >= bound }}
}

func ratioAtMost(bound float64) target {
	return target{text: fmt.Sprintf("ratio ≤ %.2f", bound), holds: func(ratio, _ float64) bool { return ratio <= bound }}
}

func valueAtMost(bound float64) target {
	return target{text: fmt.Sprintf("≤ %.1f", bound), holds: func(_, value float64) bool { return value <= bound }}
}

// aloneAtMost and aloneAtLeast bound Howdah's own value, PgBouncer's or not.
func aloneAtMost(bound float64) target {
	return target{text: fmt.Sprintf("≤ %v", bound), holds: func(_, value float64) bool { return value <= bound }, alone: true}
}

func aloneAtLeast(bound float64) target {
	return target{text: fmt.Sprintf("≥ %v", bound), holds: func(_, value float64) bool { return value >= bound }, alone: true}
}

func (r *report) add(figure string, t target) *row {
	added := &row{figure: figure, target: t}
	r.rows = append(r.rows, added)
	return added
}

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// cpuRows are a pooler's own CPU time in microseconds, and its two parts.
type cpuRows struct{ total, user, system *row }

func (r *report) addCPU(figure string, t target) *cpuRows {
	return &cpuRows{r.add(figure, t), r.add("– user", target{}), r.add("– system", target{})}
}

func (w *cpuRows) sample(c contender, o outcome) {
	w.total.sample(c, o.micros(o.cpu.total()))
	w.user.sample(c, o.micros(o.cpu.user))
	w.system.sample(c, o.micros(o.cpu.system))
}

func (w *row) sample(c contender, value float64) { w.samples[c] = append(w.samples[c], value) }

func (w *row) empty() bool {
	return len(w.samples[direct])+len(w.samples[bouncer])+len(w.samples[howdah]) == 0
}

// ratio is Howdah's median by PgBouncer's, with the range of the pairs' own
// ratios; "" without both.
func (w *row) ratio() string {
	b, h := w.samples[bouncer], w.samples[howdah]
	if len(b) == 0 || len(h) == 0 || b.median() == 0 {
		return ""
	}
	pairs := make(series, 0, len(h))
	for i := range min(len(b), len(h)) {
		if b[i] > 0 {
			pairs = append(pairs, h[i]/b[i])
		}
	}
	text := fmt.Sprintf("**%.2f**", h.median()/b.median())
	if len(pairs) > 1 {
		text += fmt.Sprintf(" (%.2f–%.2f)", pairs.least(), pairs.most())
	}
	return text
}

func (w *row) verdict() string {
	b, h := w.samples[bouncer], w.samples[howdah]
	if w.target.holds == nil {
		return ""
	}
	if len(h) == 0 || len(b) == 0 && !w.target.alone {
		return w.target.text
	}
	if w.target.holds(h.median()/b.median(), h.median()) { // the ratio may be NaN, where it is not asked for
		return w.target.text + ", reached"
	}
	return w.target.text + ", **missed**"
}

// print writes Markdown: the machine, the table, the notes.
func (r *report) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", r.machine)
	text.WriteString("Medians of interleaved runs (least–most); the ratio is that of the medians (range over the pairs).\n\n")
	peer := cmp.Or(r.peer, bouncer.String())
	fmt.Fprintf(&text, "| figure | PostgreSQL alone | %s | Howdah | Howdah / %s | target |\n", peer, peer)
	text.WriteString("|---|---:|---:|---:|---:|---|\n")
	for _, w := range r.rows {
		if w.empty() {
			continue // its section failed, or the peer cannot do it and is alone
		}
		fmt.Fprintf(&text, "| %s | %v | %v | %v | %s | %s |\n", w.figure,
			w.samples[direct], w.samples[bouncer], w.samples[howdah], w.ratio(), w.verdict())
	}
	for _, n := range r.notes {
		fmt.Fprintf(&text, "\n- %s", n)
	}
	_, err := io.WriteString(out, text.String()+"\n")
	return err
}
