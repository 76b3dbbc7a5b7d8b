package chromium

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Page is a tab of the browser. A command that fails ends the test.
type Page struct {
	t       *testing.T
	b       *Browser
	session string

	mu       sync.Mutex
	troubles []string
	requests []string
}

type dict = map[string]any

// Open opens a tab that is empty. Go has it load something.
func (b *Browser) Open(t *testing.T) *Page {
	t.Helper()
	var context struct{ BrowserContextID string }
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	p := &Page{t: t, b: b}
	p.must(b.call("", "Target.createBrowserContext", nil, &context))
	p.must(b.call("", "Target.createTarget", dict{"url": "about:blank", "browserContextId": context.BrowserContextID}, &target))
	p.must(b.call("", "Target.attachToTarget", dict{"targetId": target.TargetID, "flatten": true}, &attached))
	p.session = attached.SessionID
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		p.Do(domain+".enable", nil, nil)
	}
	return p
}

// must ends the test if the browser could not do what it was asked for.
func (p *Page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// Do sends a command to the tab.
func (p *Page) Do(method string, params, result any) {
	p.t.Helper()
	p.must(p.b.call(p.session, method, params, result))
}

// Go loads a page and waits until its scripts have run.
func (p *Page) Go(url string) {
	p.t.Helper()
	var out struct{ ErrorText string }
	p.Do("Page.navigate", dict{"url": url}, &out)
	if out.ErrorText != "" {
		p.t.Fatalf("load %s: %s", url, out.ErrorText)
	}
	p.Until("document.readyState === 'complete' && location.href.startsWith(" + strconv.Quote(url) + ")")
}

// event notes what a page must not cause, and which addresses it asks for.
func (p *Page) event(a answer) {
	var e struct {
		Type             string
		Args             []struct{ Value, Description any }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry   struct{ Level, Source, Text, URL string }
		Issue   struct{ Code string }
		Request struct{ URL string }
	}
	if json.Unmarshal(a.Params, &e) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch a.Method {
	case "Runtime.consoleAPICalled":
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.troubles = append(p.troubles, fmt.Sprintf("console.%s %v", e.Type, e.Args))
		}
	case "Runtime.exceptionThrown":
		p.troubles = append(p.troubles, "exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case "Log.entryAdded":
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.troubles = append(p.troubles, e.Entry.Source+": "+e.Entry.Text+" "+e.Entry.URL)
		}
	case "Audits.issueAdded":
		p.troubles = append(p.troubles, "issue: "+e.Issue.Code+" "+string(a.Params))
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	}
}

// Troubles returns errors and warnings of the console, exceptions, violations of the Content-Security-Policy and failed
// requests since the last call.
func (p *Page) Troubles() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, p.troubles = p.troubles, nil
	return all
}

// Requests returns the addresses that the page has asked for.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.requests...)
}

// Eval evaluates an expression, waits if it is a promise, and decodes its value into out, which may be nil.
func (p *Page) Eval(js string, out any) {
	p.t.Helper()
	var a struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.Do("Runtime.evaluate", dict{"expression": js, "awaitPromise": true, "returnByValue": true}, &a)
	if a.ExceptionDetails != nil {
		p.t.Fatalf("%.200s: %s %s", js, a.ExceptionDetails.Text, a.ExceptionDetails.Exception.Description)
	}
	if out != nil && len(a.Result.Value) > 0 {
		p.must(json.Unmarshal(a.Result.Value, out))
	}
}

// Text returns the value of an expression as text.
func (p *Page) Text(js string) (s string) {
	p.t.Helper()
	p.Eval("String("+js+")", &s)
	return s
}

// Until waits until an expression is true.
func (p *Page) Until(js string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		p.Eval("Boolean("+js+")", &ok)
		switch {
		case ok:
			return
		case time.Now().After(end):
			p.t.Fatalf("not within %s: %s\nThe page says: %s\nTroubles: %q", patience, js, p.Text("document.body.innerText"), p.Troubles())
		}
	}
}

// Size sets the size of the tab in CSS pixels; a phone has touch and a higher density.
func (p *Page) Size(width, height int, phone bool) {
	p.t.Helper()
	scale := 1
	if phone {
		scale = 2
	}
	p.Do("Emulation.setDeviceMetricsOverride", dict{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}, nil)
}

// Theme sets what the operator's system prefers: light or dark.
func (p *Page) Theme(theme string) {
	p.t.Helper()
	p.Do("Emulation.setEmulatedMedia", dict{"features": []dict{{"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
}

// Screenshot writes what the tab shows to a PNG file.
func (p *Page) Screenshot(file string) {
	p.t.Helper()
	var out struct{ Data string }
	p.Do("Page.captureScreenshot", dict{"format": "png"}, &out)
	png, err := base64.StdEncoding.DecodeString(out.Data)
	p.must(err)
	p.must(os.WriteFile(file, png, 0o644))
}
