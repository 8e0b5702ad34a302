package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// parrot answers every request with the same bytes.
type parrot struct {
	requests []byte
	says     []byte
}

func (p *parrot) Write(request []byte) (int, error) {
	p.requests = append(p.requests, request...)
	return len(request), nil
}

func (p *parrot) Read(into []byte) (int, error) { return copy(into, p.says), nil }

func TestStatementsDifferInNameTextAndAnswer(t *testing.T) {
	t.Parallel()
	statements, err := makeStatements(preparedStatements)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range statements {
		if len(s.reply) != len(statements[0].reply) {
			t.Errorf("%q has an answer of another length", s.name)
		}
		seen[s.name], seen[s.sql], seen[string(s.reply)] = true, true, true
	}
	if len(seen) != 3*preparedStatements {
		t.Errorf("%d distinct names, texts and answers of %d statements", len(seen), preparedStatements)
	}
}

func TestWrongAnswerEndsTheRun(t *testing.T) {
	t.Parallel()
	statements, err := makeStatements(2)
	if err != nil {
		t.Fatal(err)
	}
	l := &preparedLoad{statements: statements[:1], rows: 10}
	right := &parrot{says: statements[0].reply}
	n, err := l.repeat(t.Context(), right, time.Now().Add(10*time.Millisecond))
	if err != nil || n == 0 || bytes.Count(right.requests, []byte(statements[0].name)) != n {
		t.Errorf("right answers: %d statements, %v", n, err)
	}
	n, err = l.repeat(t.Context(), &parrot{says: statements[1].reply}, time.Now().Add(10*time.Second))
	if err == nil || n != 0 || !strings.Contains(err.Error(), `"statement_1000"`) {
		t.Errorf("another statement's answers: %d statements, %v", n, err)
	}
}
