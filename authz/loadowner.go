package authz

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// LoadOwner reads an owner's file. Either there are rules or there are problems.
func LoadOwner(f File) (*Owner, Problems) {
	var problems Problems
	root, problem := parse(f)
	if problem != nil {
		return nil, Problems{*problem}
	}
	t := &table{out: &problems, file: f.Name, what: "the owner's rules", n: root}
	o := &Owner{answers: map[Kind]OwnerAnswer{}, sum: sum("sallyport/owner/v1", []File{f})}
	o.read(t)
	t.done()
	if len(problems) > 0 {
		problems.sort([]File{f})
		return nil, problems
	}
	return o, nil
}

func (o *Owner) read(t *table) {
	if t.must("format", "format = 1") {
		t.number("format", 1, 1)
	}
	o.Name = t.sentence("owner", `owner = "Kern Verpackung, plant Ulm, +49 731 555 010"`)
	o.Preset = t.oneOf("preset", Presets...)
	for _, k := range []Kind{Shell, Run, Ports, Web} {
		o.answer(t, k.Word(), k)
	}
	o.pair(t, "files", "read", FilesRead, "write", FilesWrite)
	o.pair(t, "desktop", "view", DesktopView, "control", DesktopControl)
	o.readLogins(t)
	o.readAsk(t)
	o.readHours(t)
	if s := t.sub("switch", "[switch]"); s != nil {
		if s.must("file", `file = "/run/sallyport/remote-on"`) {
			o.Switch = absolute(s, "file", `file = "/run/sallyport/remote-on"`)
		}
		s.done()
	}
	o.Whole = t.oneOf("processes", "session", "machine") == "machine"
	o.readStop(t)
	o.readCopy(t)
}

const answerExample = `"allow", "ask" or "deny"`

func (o *Owner) answer(t *table, key string, kinds ...Kind) {
	if !t.has(key) {
		t.known = append(t.known, key)
		return
	}
	a := OwnerAnswer(t.oneOf(key, string(OwnerAllows), string(OwnerAsks), string(OwnerDenies)))
	for _, k := range kinds {
		if a != "" {
			o.answers[k] = a
		}
	}
}

// pair reads `files = "ask"`, for both, or `files = { read = "allow", write = "ask" }`.
func (o *Owner) pair(t *table, key, one string, k1 Kind, two string, k2 Kind) {
	n := t.key(key)
	switch {
	case n == nil:
	case n.kind == unstable.String:
		o.answer(t, key, k1, k2)
	case n.isTable():
		s := &table{out: t.out, file: t.file, what: key, n: n}
		o.answer(s, one, k1)
		o.answer(s, two, k2)
		s.done()
	default:
		t.problem(n.line, fmt.Sprintf(`%s = { %s = "allow", %s = "ask" }`, key, one, two), "%s: %s wants %s", t.what, key, answerExample)
	}
}

func (o *Owner) readLogins(t *table) {
	o.named = t.has("logins")
	for _, n := range t.words("logins", `logins = ["svc"]`) {
		if err := checkLogin(n.text); err != nil {
			t.problem(n.line, `logins = ["svc"]`, "%s: %v", t.what, err)
			continue
		}
		o.logins = append(o.logins, n.text)
	}
}

func (o *Owner) readAsk(t *table) {
	o.Ask = OwnerAsk{Who: []string{"command"}, Wait: 5 * time.Minute}
	s := t.sub("ask", "[ask]")
	if s == nil {
		return
	}
	if n := s.key("keys"); n != nil && n.kind == unstable.Array && len(n.list) == 0 {
		o.Ask.Keys = nil // an empty list says that nobody answers from elsewhere, as does none
	} else {
		o.Ask.Keys = texts(s.words("keys", `keys = ["ssh-ed25519 AAAA…"]`))
	}
	if s.has("who") {
		o.Ask.Who = nil
	}
	for _, n := range s.words("who", `who = ["command"]`) {
		if !slices.Contains([]string{"page", "command", "owner-page"}, n.text) {
			s.problem(n.line, "page, command or owner-page", "[ask]: who does not know %q", clip(n.text))
		}
		if n.text == "owner-page" && len(o.Ask.Keys) == 0 {
			s.problem(n.line, `keys = ["ssh-ed25519 AAAA…"]`, "[ask]: owner-page needs keys, or the gateway could answer for the owner")
		}
		o.Ask.Who = append(o.Ask.Who, n.text)
	}
	if s.has("wait") {
		o.Ask.Wait = s.duration("wait", `wait = "5m"`)
	}
	s.known = append(s.known, "wait")
	o.Ask.Remember = s.duration("remember_at_most", `remember_at_most = "8h"`)
	s.done()
}

func (o *Owner) readHours(t *table) {
	s := t.sub("hours", "[hours]")
	if s == nil {
		if o.Preset == "office-hours" {
			t.problem(t.line("preset"), "[hours] with zone, days, from and to", "the preset office-hours needs [hours]")
		}
		return
	}
	o.outside = OwnerDenies
	if s.has("outside") {
		o.outside = OwnerAnswer(s.oneOf("outside", string(OwnerAsks), string(OwnerDenies)))
	}
	s.known = append(s.known, "outside")
	o.hours = readWindow(s, "hours")
	s.done()
}

func (o *Owner) readStop(t *table) {
	s := t.sub("stop", "[stop]")
	if s == nil {
		return
	}
	o.Stop.Finish = s.oneOf("on_expiry", "cut", "finish-command") == "finish-command"
	o.Stop.AtMost = s.duration("at_most", `at_most = "15m"`)
	if o.Stop.Finish && !s.has("at_most") {
		s.problem(s.n.line, `at_most = "15m"`, "[stop]: finish-command needs an end")
	}
	s.done()
}

func (o *Owner) readCopy(t *table) {
	s := t.sub("copy", "[copy]")
	if s == nil {
		return
	}
	o.Copy.Keep = s.flag("keep")
	o.Copy.Dir = absolute(s, "dir", `dir = "/var/lib/sallyport-agent/record"`)
	o.Copy.AtMost = size(s, "at_most", `at_most = "2GiB"`)
	o.Copy.Reader = s.str("reader", `reader = "age1…"`)
	if o.Copy.Reader != "" && !strings.HasPrefix(o.Copy.Reader, "age1") {
		s.problem(s.line("reader"), `reader = "age1…"`, "[copy]: reader is not an age recipient")
	}
	if o.Copy.Keep && o.Copy.Reader == "" {
		s.problem(s.n.line, `reader = "age1…"`, "[copy]: keep needs a reader, or nobody could read the copy")
	}
	s.done()
}

func absolute(t *table, key, write string) string {
	p := t.str(key, write)
	if p != "" && checkPath(p) != nil {
		t.problem(t.line(key), write, "%s: %s: %v", t.what, key, checkPath(p))
		return ""
	}
	return p
}

// size reads "500MiB" or "2GiB".
func size(t *table, key, write string) int64 {
	s := t.str(key, write)
	if s == "" {
		return 0
	}
	for unit, bytes := range map[string]int64{"MiB": 1 << 20, "GiB": 1 << 30} {
		if n, ok := strings.CutSuffix(s, unit); ok && isNumber(n) && len(n) < 7 && strings.Trim(n, "0") != "" {
			v, _ := strconv.ParseInt(n, 10, 64) // fewer than seven digits
			return v * bytes
		}
	}
	t.problem(t.line(key), write, "%s: %s = %q is not a size", t.what, key, clip(s))
	return 0
}
