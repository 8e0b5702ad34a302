package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/wal"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	one := &base.Manifest{ID: "one", Started: now.Add(-time.Hour), Finished: now.Add(-50 * time.Minute), Tablespaces: []base.Tablespace{{OID: 16400}}}
	since := &base.Manifest{ID: "since", Since: "one", Started: now.Add(-20 * time.Minute), Finished: now.Add(-10 * time.Minute)}
	began := &base.Manifest{ID: "began", Started: now.Add(-2 * time.Hour), Finished: now.Add(-time.Hour), Start: base.Position{LSN: 100 * mib}, Stop: base.Position{LSN: 110 * mib}}
	more := &base.Manifest{ID: "more", Since: "began", Started: now.Add(-31 * time.Minute), Finished: now.Add(-30 * time.Minute), Start: base.Position{LSN: 200 * mib}, Stop: base.Position{LSN: 201 * mib}}
	for name, c := range map[string]struct {
		facts
		why  string
		kind kind
	}{
		"none":           {facts{interval: time.Hour}, "there is none", urgent},
		"none, no age":   {facts{}, "there is none", urgent},
		"young":          {facts{newest: one, interval: 2 * time.Hour}, "", urgent},
		"old":            {facts{newest: one, interval: time.Hour}, "one is 1h0m0s old", aged},
		"never too old":  {facts{newest: one}, "", urgent},
		"broken":         {facts{newest: one, broken: errors.New("a hole"), interval: 2 * time.Hour}, "a hole", urgent},
		"broken and old": {facts{newest: one, broken: errors.New("a hole"), interval: time.Minute}, "a hole", urgent},
		"known space":    {facts{newest: one, tablespaces: []uint32{16400}}, "", urgent},
		"copied":         {facts{newest: one, copied: &wal.Copy{Database: 16700, Source: 16600}, interval: time.Minute}, "database 16700 was made of the files of database 16600 since one", copied},
		"changes":        {facts{newest: one, last: one, interval: 2 * time.Hour, changes: 50 * time.Minute}, "one ended 50m0s ago", changes},
		"no changes yet": {facts{newest: one, last: since, interval: 2 * time.Hour, changes: 11 * time.Minute}, "", urgent},
		"more changes":   {facts{newest: one, last: since, changes: 10 * time.Minute}, "since ended 10m0s ago", changes},
		"old, changes":   {facts{newest: one, last: since, interval: time.Hour, changes: time.Minute}, "one is 1h0m0s old", aged},
		"hole, changes":  {facts{newest: one, last: since, broken: errors.New("a hole"), changes: time.Minute}, "a hole", urgent},
		"much to replay": {facts{newest: began, durable: 191 * mib, replay: 100 * mib, whole: 100 * mib}, "91 of 100 MB since began began", aged},
		"not that much":  {facts{newest: began, durable: 190 * mib, replay: 100 * mib, whole: 100 * mib}, "", urgent},
		"any amount":     {facts{newest: began, durable: 9000 * mib}, "", urgent},
		"of no use":      {facts{newest: began, durable: 9000 * mib, replay: 9 * mib, whole: 9 * mib}, "", urgent},
		"too soon":       {facts{newest: began, durable: 9000 * mib, replay: 100 * mib, whole: 100 * mib, pause: 61 * time.Minute}, "", urgent},
		"enough changes": {facts{newest: began, last: more, durable: 300 * mib, replay: 100 * mib, whole: 100 * mib, changes: time.Hour, pause: 30 * time.Minute}, "100 of 100 MB since more began", changes},
		"many changes":   {facts{newest: began, last: more, durable: 300 * mib, replay: 100 * mib, whole: 201 * mib, changes: time.Hour, pause: 30 * time.Minute}, "100 of 100 MB since more began", aged},
		"none is left":   {facts{newest: began, last: more, durable: 202 * mib, replay: -5 * mib, whole: 200 * mib, changes: time.Hour, pause: 30 * time.Minute}, "2 of 0 MB since more began", aged},
		"all since then": {facts{newest: began, durable: 190 * mib, replay: -5 * mib, whole: 100 * mib, changes: 2 * time.Hour}, "", urgent},
		"few changes":    {facts{newest: began, last: more, durable: 299 * mib, replay: 100 * mib, whole: 100 * mib, changes: time.Hour, pause: 30 * time.Minute}, "", urgent},
		"cannot tell":    {facts{newest: began, durable: 9000 * mib, replay: 100 * mib, whole: 100 * mib, changes: 2 * time.Hour, unable: true}, "MB since began began", aged},
		"can tell":       {facts{newest: began, durable: 9000 * mib, replay: 100 * mib, whole: 100 * mib, changes: 2 * time.Hour}, "MB since began began", changes},
		"old, and much":  {facts{newest: began, durable: 9000 * mib, replay: 100 * mib, whole: 100 * mib, changes: 2 * time.Hour, interval: time.Hour}, "began is 2h0m0s old", aged},
		"still behind":   {facts{newest: began, durable: 90 * mib, replay: 100 * mib, whole: 100 * mib}, "", urgent},
		"took its time":  {facts{newest: &base.Manifest{ID: "slow", Started: now.Add(-5 * time.Hour), Finished: now.Add(-2 * time.Hour)}, durable: 9000 * mib, replay: 100 * mib, whole: 100 * mib}, "", urgent},
		"new space":      {facts{newest: one, tablespaces: []uint32{16400, 16500}}, "tablespace 16500 is newer", urgent},
	} {
		if c.last == nil {
			c.last = c.newest
		}
		why, kind := c.due(now)
		if !strings.Contains(why, c.why) || (why == "") != (c.why == "") || kind != c.kind {
			t.Errorf("%s: %q, %v", name, why, kind)
		}
	}
}

func TestNewestIsNotOfTheFuture(t *testing.T) {
	now := time.Now()
	all := []base.Manifest{
		{ID: "future", Started: now.Add(24 * time.Hour)},
		{ID: "changes", Started: now.Add(-time.Minute), Since: "whole"},
		{ID: "whole", Started: now.Add(-time.Hour)},
		{ID: "old", Started: now.Add(-48 * time.Hour)},
	}
	if m, last := newestOf(all, now); m == nil || m.ID != "whole" || last == nil || last.ID != "changes" {
		t.Errorf("%+v, %+v", m, last)
	}
	if m, last := newestOf(all[:2], now); m != nil || last == nil || last.ID != "changes" {
		t.Errorf("%+v, %+v", m, last)
	}
}
