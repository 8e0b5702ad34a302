package router

import "testing"

// Code has changed a setting while the server is pinned. To ask for the taint
// meanwhile must not forget that the settings are to be read when the pin ends.
func TestTaintKeepsWhatPinsHoldBack(t *testing.T) {
	sc := &scenario{sessions: map[string]*session{}, backends: map[string]*backend{}}
	s := sc.choose("A")
	s.taint = &taint{}
	s.assigned(newBackend(s.vars))
	s.pins, s.done = pinPrepared, maySetAny|acts
	s.settled()
	if !s.taint.asking {
		t.Fatal("the taint is not asked for")
	}
	if s.done&maySetAny == 0 {
		t.Error("the settings will not be read when the pin ends")
	}
}
