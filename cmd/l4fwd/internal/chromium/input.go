package chromium

import "strconv"

// codes are the virtual key codes of the keys that tests press.
var codes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40, "ArrowUp": 38}

// Press presses a key; with shift if it is Shift+ and a key.
func (p *Page) Press(key string) {
	p.t.Helper()
	modifiers := 0
	if len(key) > 6 && key[:6] == "Shift+" {
		key, modifiers = key[6:], 8
	}
	text := map[string]string{"Enter": "\r", " ": " "}[key]
	down := dict{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}
	if text == "" {
		down["type"] = "rawKeyDown"
	} else {
		down["text"] = text
	}
	p.Do("Input.dispatchKeyEvent", down, nil)
	p.Do("Input.dispatchKeyEvent", dict{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}, nil)
}

// Click clicks the middle of the first element that a selector matches, once there is one that is seen and enabled.
func (p *Page) Click(selector string) {
	p.t.Helper()
	quoted := strconv.Quote(selector)
	p.Until("document.querySelector(" + quoted + ")?.checkVisibility() && !document.querySelector(" + quoted + ").disabled")
	var at struct{ X, Y float64 }
	p.Eval("(() => { const e = document.querySelector("+quoted+"); e.scrollIntoView({block: 'center', behavior: 'instant'});"+
		"const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()", &at)
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		p.Do("Input.dispatchMouseEvent", dict{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// Tab presses Tab until the element that a selector matches has the focus, and fails if it is not reached.
func (p *Page) Tab(selector string) {
	p.t.Helper()
	for range 200 {
		p.Press("Tab")
		var there bool
		p.Eval("Boolean(document.activeElement?.matches("+strconv.Quote(selector)+"))", &there)
		if there {
			return
		}
	}
	p.t.Fatalf("200 times Tab do not lead to %s", selector)
}
