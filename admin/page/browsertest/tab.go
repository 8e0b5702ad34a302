package browsertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Tab is a page in a browser of its own.
type Tab struct {
	t       testing.TB
	browser *browser
	session string

	mu       sync.Mutex
	problems []string
}

// Open starts a browser and has it show a page until the test ends. What the page complains
// about fails the test: exceptions, errors in its console, and what its policy forbids.
func Open(t testing.TB, url string) *Tab {
	t.Helper()
	tab := &Tab{t: t}
	tab.browser = start(t, tab.heard)
	var target struct{ TargetID string }
	tab.must(tab.browser.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	var session struct{ SessionID string }
	tab.must(tab.browser.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session))
	tab.session = session.SessionID
	for _, domain := range []string{"Runtime", "Log", "Page"} {
		tab.do(domain+".enable", nil)
	}
	t.Cleanup(func() {
		for _, p := range tab.Complaints() {
			t.Error("the page complains: " + p)
		}
	})
	tab.Go(url)
	return tab
}

func (tab *Tab) must(err error) {
	tab.t.Helper()
	if err != nil {
		tab.t.Fatal(err)
	}
}

// do has the browser do something with the page.
func (tab *Tab) do(method string, params map[string]any) {
	tab.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	tab.must(tab.browser.call(tab.session, method, params, nil))
}

// heard notes what the page complains about.
func (tab *Tab) heard(m message) {
	var what struct {
		Type  string
		Entry struct{ Level, Text, URL, Source string }
		Args  []struct{ Value, Description any }

		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(m.Params, &what) != nil {
		return
	}
	problem := ""
	switch {
	case m.Method == "Runtime.exceptionThrown":
		problem = what.ExceptionDetails.Text + " " + what.ExceptionDetails.Exception.Description
	case m.Method == "Runtime.consoleAPICalled" && (what.Type == "error" || what.Type == "warning"):
		problem = fmt.Sprint(what.Args)
	case m.Method == "Log.entryAdded" && what.Entry.Level == "error" && what.Entry.Source != "network": // an answer of 4xx is one
		problem = what.Entry.Text + " " + what.Entry.URL
	default:
		return
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.problems = append(tab.problems, problem)
}

// Complaints returns what the page has complained about since it was asked last.
func (tab *Tab) Complaints() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	all := tab.problems
	tab.problems = nil
	return all
}

// Go shows another page.
func (tab *Tab) Go(url string) {
	tab.t.Helper()
	var gone struct{ ErrorText string }
	tab.must(tab.browser.call(tab.session, "Page.navigate", map[string]any{"url": url}, &gone))
	if gone.ErrorText != "" {
		tab.t.Fatalf("show %s: %s", url, gone.ErrorText)
	}
}

// Eval evaluates an expression in the page, waits for it if it is a promise, and reads its
// value into result, if that is not nil.
func (tab *Tab) Eval(expression string, result any) {
	tab.t.Helper()
	tab.must(tab.eval(expression, result))
}

func (tab *Tab) eval(expression string, result any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	params := map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}
	if err := tab.browser.call(tab.session, "Runtime.evaluate", params, &answer); err != nil {
		return err
	}
	if e := answer.ExceptionDetails; e != nil {
		return fmt.Errorf("evaluate %s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, result)
}

// Wait waits until an expression is true.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	tab.WaitFor(patience, expression)
}

// WaitFor is Wait for longer.
func (tab *Tab) WaitFor(long time.Duration, expression string) {
	tab.t.Helper()
	for end := time.Now().Add(long); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		err := tab.eval("!!("+expression+")", &is)
		if err == nil && is {
			return
		}
		if time.Now().After(end) {
			tab.t.Fatalf("it is not so that %s (%v); the page says:\n%s", expression, err, tab.Text("body"))
		}
	}
}

func quoted(text string) string {
	quoted, _ := json.Marshal(text) // a string can be
	return string(quoted)
}

// Text is what can be read in an element.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	var text string
	tab.Eval(fmt.Sprintf("document.querySelector(%s)?.innerText ?? '(there is none)'", quoted(selector)), &text)
	return text
}

// button is an expression of the button, link or tab with a name, as a screen reader says it.
// What is under an open dialog nobody can use.
func button(name string) string {
	return fmt.Sprintf("[...([...document.querySelectorAll('dialog:modal')].at(-1) ?? document).querySelectorAll('button, a, summary')].find(e => (e.ariaLabel ?? e.innerText).trim() === %s && e.checkVisibility())", quoted(name))
}

// Sees waits until a text is in the page.
func (tab *Tab) Sees(text string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf("document.body.innerText.includes(%s)", quoted(text)))
}

// Press clicks at the middle of the button or link with a name, once there is one that can
// be used.
func (tab *Tab) Press(name string) {
	tab.t.Helper()
	tab.Wait("(e => e && !e.disabled)(" + button(name) + ")")
	var at struct {
		X, Y float64
		Hit  bool
	}
	tab.Eval(fmt.Sprintf(`(() => { const e = %s; e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect();
		const x = r.x + r.width / 2, y = r.y + r.height / 2; const top = document.elementFromPoint(x, y); return {X: x, Y: y, Hit: e === top || e.contains(top)}; })()`, button(name)), &at)
	if !at.Hit {
		tab.t.Fatalf("something lies over %q", name)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		tab.do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1})
	}
}

// Enabled reports whether there is a button with a name, and whether it can be used.
func (tab *Tab) Enabled(name string) (there, enabled bool) {
	tab.t.Helper()
	var is []bool
	tab.Eval(fmt.Sprintf("(e => [!!e, !!e && !e.disabled])(%s)", button(name)), &is)
	return is[0], is[1]
}

// labelled is an expression of the field with a label.
func labelled(label string) string {
	return fmt.Sprintf("[...document.querySelectorAll('input, select, textarea')].find(e => ((e.labels?.[0]?.innerText ?? '').trim().startsWith(%[1]s) || e.ariaLabel === %[1]s) && e.checkVisibility())", quoted(label))
}

// Fill types a text into the field with a label, in place of what is there.
func (tab *Tab) Fill(label, text string) {
	tab.t.Helper()
	tab.Wait(labelled(label))
	tab.Eval(fmt.Sprintf("(e => { e.focus(); e.select?.(); })(%s)", labelled(label)), nil)
	tab.do("Input.insertText", map[string]any{"text": text})
}

// Choose chooses an option of the field with a label.
func (tab *Tab) Choose(label, value string) {
	tab.t.Helper()
	tab.Wait(labelled(label))
	tab.Eval(fmt.Sprintf("(e => { e.value = %s; e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})); })(%s)", quoted(value), labelled(label)), nil)
}

// Value is what is in the field with a label.
func (tab *Tab) Value(label string) (value string) {
	tab.t.Helper()
	tab.Wait(labelled(label))
	tab.Eval(labelled(label)+".value", &value)
	return value
}

// Focus puts the keyboard's focus on the field with a label.
func (tab *Tab) Focus(label string) {
	tab.t.Helper()
	tab.Wait(labelled(label))
	tab.Eval(labelled(label)+".focus()", nil)
}

// Key presses a key, by its name (ArrowLeft, Tab, Enter, Escape).
func (tab *Tab) Key(name string) {
	tab.t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[name]
	down := map[string]any{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": code}
	if name == "Enter" {
		down["text"] = "\r"
	}
	tab.do("Input.dispatchKeyEvent", down)
	tab.do("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name, "code": name, "windowsVirtualKeyCode": code})
}

// Size makes the window as large as that, in the pixels of CSS.
func (tab *Tab) Size(width, height int) {
	tab.t.Helper()
	tab.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// Dark has the browser prefer dark colours, or light ones.
func (tab *Tab) Dark(dark bool) {
	tab.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	tab.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// Screenshot writes what is to be seen into a folder, if HOWDAH_SCREENSHOTS names one.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	folder := os.Getenv("HOWDAH_SCREENSHOTS")
	if folder == "" {
		return
	}
	var shot struct{ Data string }
	tab.must(tab.browser.call(tab.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot))
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	tab.must(err)
	tab.must(os.WriteFile(folder+"/"+strings.ReplaceAll(name, " ", "-")+".png", picture, 0o644))
}
