package node

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// person is somebody at a browser who has signed in.
type person struct {
	*testenv.Browser
	s *served
}

func (s *served) signIn(name string, groups ...string) *person {
	s.t.Helper()
	users := must(idp.OpenUsers(UsersDir(s.c)))(s.t)
	must(users.Add(idp.User{Name: name, ShownAs: name, Groups: groups}, testenv.Password))(s.t)
	b := testenv.NewBrowser(s.t)
	b.Transport = &http.Transport{TLSClientConfig: s.tls(), DialContext: s.from("127.0.0.4")}
	b.Timeout = 0 // a watched session does not end by itself
	b.Open(s.c.Site.URL+"/login/own").Submit("username", name, "password", testenv.Password)
	p := &person{b, s}
	p.get(http.StatusOK, "/api/v1/me", nil)
	return p
}

func (p *person) get(status int, path string, out any) {
	p.s.t.Helper()
	p.took(status, path, out, must(http.NewRequest(http.MethodGet, p.s.c.Site.URL+path, nil))(p.s.t))
}

func (p *person) post(status int, path string, in, out any) {
	p.s.t.Helper()
	raw := must(json.Marshal(in))(p.s.t)
	r := must(http.NewRequest(http.MethodPost, p.s.c.Site.URL+path, bytes.NewReader(raw)))(p.s.t)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", p.s.c.Site.URL)
	p.took(status, path, out, r)
}

func (p *person) took(status int, path string, out any, r *http.Request) {
	p.s.t.Helper()
	resp := must(p.Do(r))(p.s.t)
	defer resp.Body.Close()
	raw := must(io.ReadAll(resp.Body))(p.s.t)
	if resp.StatusCode != status {
		p.s.t.Fatalf("%s: got %d %s, want %d", path, resp.StatusCode, raw, status)
	}
	if text, ok := out.(*string); ok {
		*text = string(raw)
	} else if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			p.s.t.Fatalf("%s: %v in %s", path, err, raw)
		}
	}
}

// work opens a terminal on a device. It gives the session's path, and what types.
func (p *person) work(device string) (path string, typ func(string)) {
	p.s.t.Helper()
	var to apitype.SessionTicket
	p.post(http.StatusOK, "/api/v1/sessions", map[string]any{"device": device, "pty": true}, &to)
	site := must(url.Parse(p.s.c.Site.URL))(p.s.t)
	head := http.Header{"Origin": {p.s.c.Site.URL}}
	for _, c := range p.Jar.Cookies(site) {
		head.Add("Cookie", c.String())
	}
	d := websocket.Dialer{TLSClientConfig: p.s.tls(), NetDialContext: p.s.from("127.0.0.4"), Subprotocols: []string{apitype.TerminalSubprotocol}}
	conn, _, err := d.Dial("wss://"+site.Host+to.Socket, head)
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.s.t.Cleanup(func() { conn.Close() })
	if err := conn.WriteJSON(apitype.TerminalHello{Ticket: to.Ticket}); err != nil {
		p.s.t.Fatal(err)
	}
	var c apitype.TerminalControl
	if err := conn.ReadJSON(&c); err != nil || c.T != apitype.TermReady {
		p.s.t.Fatalf("got %+v, %v, want the session ready", c, err)
	}
	go func() {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	return "/api/v1/sessions/" + to.Session.String(), func(text string) {
		if err := conn.WriteMessage(websocket.BinaryMessage, append([]byte{apitype.StreamIn}, text...)); err != nil {
			p.s.t.Error(err)
		}
	}
}

// looking is a session that somebody watches.
type looking struct {
	mu    sync.Mutex
	shown strings.Builder
	told  string // by the gateway, at the end
	ended bool
}

func (p *person) watch(path string) *looking {
	p.s.t.Helper()
	resp := must(p.Get(p.s.c.Site.URL + path + "/watch"))(p.s.t)
	if resp.StatusCode != http.StatusOK {
		p.s.t.Fatalf("watch: got %d", resp.StatusCode)
	}
	l := &looking{}
	go func() {
		defer resp.Body.Close()
		for {
			w, err := apitype.ReadWritten(resp.Body)
			l.mu.Lock()
			switch {
			case err != nil:
				l.ended = true
			case w.Stream == apitype.GatewayStream:
				l.told += string(w.Data)
			default:
				l.shown.Write(w.Data)
			}
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *looking) sees(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.shown.String(), text)
}

func (l *looking) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// TestAnOwnerSeesWhatIsDoneAtTheirSiteAndNothingElse has a real gateway, policy and sign-in.
func TestAnOwnerSeesWhatIsDoneAtTheirSiteAndNothingElse(t *testing.T) {
	s := serve(t)
	ada, tess, olga := s.signIn("ada", "administrators"), s.signIn("tess", "technicians"), s.signIn("olga", "owners")
	fleet := s.enrol(2)
	s.admitted(t, fleet[0], "plant-north", ada)
	s.admitted(t, fleet[1], "plant-south", ada)
	north, typ := tess.work(fleet[0].name)
	south, _ := tess.work(fleet[1].name)
	typ("first\n")

	sees := func(want ...string) {
		t.Helper()
		var page apitype.SessionPage
		olga.get(http.StatusOK, "/api/v1/sessions", &page)
		var got []string
		for _, x := range page.Sessions {
			got = append(got, "/api/v1/sessions/"+x.ID.String())
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("the owner sees the sessions %q, want %q", got, want)
		}
	}
	sees() // the duty without a site
	olga.get(http.StatusNotFound, north, nil)
	ada.post(http.StatusForbidden, "/api/v1/sites/owners", map[string]any{"site": "plant-north", "add": []string{"ada"}}, nil)
	ada.post(http.StatusOK, "/api/v1/sites/owners", map[string]any{"site": "plant-north", "add": []string{"olga"}}, nil)
	sees(north)

	live := olga.watch(north)
	within(t, "the owner sees the beginning", func() bool { return live.sees("first") })
	typ("second\n")
	within(t, "the owner sees what comes", func() bool { return live.sees("second") })
	typ("secret words\n")
	var transcript, input string
	within(t, "the device says that this was hidden", func() bool {
		olga.get(http.StatusOK, north+"/input", &input)
		return strings.Contains(input, "[hidden]")
	})
	typ("third\n")
	within(t, "the owner sees what comes after it", func() bool { return live.sees("third") })
	if live.sees("secret") {
		t.Error("what was typed while the terminal hid it is shown to a watcher")
	}
	olga.get(http.StatusOK, north+"/transcript", &transcript)
	within(t, "the verdicts are in the record", func() bool {
		olga.get(http.StatusOK, north+"/input", &input)
		return strings.Contains(input, "third")
	})
	if !strings.Contains(transcript, "second") || strings.Contains(transcript+input, "secret") || !strings.Contains(input, "[hidden]") {
		t.Errorf("got the transcript %q and the input %q", transcript, input)
	}
	olga.post(http.StatusForbidden, north+"/unseal", map[string]any{}, nil)
	olga.get(http.StatusForbidden, north+"/export", nil)
	olga.post(http.StatusForbidden, north+"/end", map[string]any{}, nil)
	for _, form := range []string{"", "/watch", "/timeline", "/transcript", "/input", "/output", "/cast", "/replay/index.json", "/export"} {
		olga.get(http.StatusNotFound, south+form, nil)
	}
	olga.post(http.StatusNotFound, south+"/unseal", map[string]any{}, nil)
	olga.get(http.StatusNotFound, "/api/v1/devices/"+fleet[1].name, nil)

	looks := map[string]bool{}
	var events []apitype.AuditEvent
	ada.get(http.StatusOK, "/api/v1/audit?type=viewed", &events)
	for _, e := range events {
		looks[e.Subject+" "+e.Fields["how"]] = true
	}
	for _, how := range []string{"watch", "transcript", "input"} {
		if id := strings.TrimPrefix(north, "/api/v1/sessions/"); !looks[id+" "+how] {
			t.Errorf("the log has no %s of %s: %v", how, id, looks)
		}
	}

	ada.post(http.StatusOK, "/api/v1/sites/owners", map[string]any{"site": "plant-north", "remove": []string{"olga"}}, nil)
	within(t, "the watching ends with the right to it", live.over)
	if live.told != "you may no longer watch this session" {
		t.Errorf("at the end the gateway says %q", live.told)
	}
	sees()
	olga.get(http.StatusNotFound, north+"/transcript", nil)
}
