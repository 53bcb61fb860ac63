package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/terminal"
)

func TestABearerGoesNowhereElse(t *testing.T) {
	stolen := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen = true }))
	defer thief.Close()
	gw := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer gw.Close()
	c, err := New(Options{Gateway: gw.URL, Bearer: "spc_secret"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), "/api/v1/me", nil, nil); err == nil || stolen {
		t.Errorf("a redirect was followed (error %v)", err)
	}
	for addr, ok := range map[string]bool{"https://gw.example": true, "gw.example": true, "http://localhost:8080": true, "http://127.0.0.1:1": true, "http://[::1]:1": true, "http://press.localhost:1": true,
		"http://gw.example": false, "http://127.0.0.1.evil.example": false, "http://localhost.evil.example": false, "ftp://gw.example": false, "https://user@gw.example": false,
		"https://gw.example/path": false, "https://gw.example?x": false, "": false} {
		if _, err := ParseGateway(addr); (err == nil) != ok {
			t.Errorf("ParseGateway(%q): got %v, want accepted %v", addr, err, ok)
		}
	}
}

func TestAProviderThatIsNotThereIsRefusedWithThoseThatAre(t *testing.T) {
	gw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(apitype.SignIn{Providers: []apitype.Provider{{Name: "company"}, {Name: "customers"}}})
	}))
	defer gw.Close()
	c, err := New(Options{Gateway: gw.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckProvider(t.Context(), "customers"); err != nil {
		t.Errorf("one that is there: got %v", err)
	}
	e, ok := errkind.Of(c.CheckProvider(t.Context(), "nope"))
	if !ok || e.Kind != errkind.Usage || !strings.Contains(e.Text, `"nope"`) || e.Hint != "It has: company, customers." {
		t.Errorf("one that is not: got %+v, want a mistake with the names that there are", e)
	}
}

func TestARefusalKeepsItsKindItsTextAndItsHint(t *testing.T) {
	for status, want := range map[int]errkind.Kind{400: errkind.Usage, 401: errkind.Signin, 403: errkind.Denied, 404: errkind.NotFound, 409: errkind.Conflict, 413: errkind.Usage,
		421: errkind.Usage, 429: errkind.TooMany, 503: errkind.Unavailable, 500: errkind.Unavailable} {
		gw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(apitype.Problem{Status: status, Detail: "why", Hint: "what to do"})
		}))
		c, err := New(Options{Gateway: gw.URL, Bearer: "x"})
		if err != nil {
			t.Fatal(err)
		}
		e, ok := errkind.Of(c.Get(t.Context(), "/x", nil, nil))
		if !ok || e.Kind != want || e.Text != "why" || e.Hint != "what to do" {
			t.Errorf("%d: got %+v, want kind %v with text and hint", status, e, want)
		}
		gw.Close()
	}
}

func TestASignInIsReadableByItsUserOnly(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	c, err := LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	c.Gateway, c.Logins["https://gw"] = "https://gw", Login{Bearer: "spc_x", Name: "Tina"}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	path, err := ConfigPath()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %o, want 600", got)
	}
	again, err := LoadConfig()
	if err != nil || again.Gateway != "https://gw" || again.Logins["https://gw"].Bearer != "spc_x" {
		t.Errorf("got %+v %v, want what was saved", again, err)
	}
}

// gatewayWith signs in whoever brings the verifier of the challenge that came through the browser.
func gatewayWith(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	challenge := ""
	mux.HandleFunc("GET /login/cli", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		challenge = q.Get("challenge")
		http.Redirect(w, r, q.Get("redirect")+"?"+url.Values{"code": {"c1"}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /api/v1/login/cli/token", func(w http.ResponseWriter, r *http.Request) {
		var in apitype.CLICode
		json.NewDecoder(r.Body).Decode(&in)
		sum := sha256.Sum256([]byte(in.Verifier))
		if in.Code != "c1" || base64.RawURLEncoding.EncodeToString(sum[:]) != challenge {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		json.NewEncoder(w).Encode(apitype.CLIToken{Bearer: "spc_new", Name: "Tina"})
	})
	asked := 0
	mux.HandleFunc("POST /api/v1/login/device", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(apitype.DeviceStart{DeviceCode: "d", UserCode: "BCDF-GHJK", Verify: "http://x", ExpiresIn: 60, Interval: 1})
	})
	mux.HandleFunc("POST /api/v1/login/device/token", func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusAccepted)
			json.NewEncoder(w).Encode(apitype.DeviceWait{Status: "pending", Interval: 1})
			return
		}
		json.NewEncoder(w).Encode(apitype.CLIToken{Bearer: "spc_device"})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestSigningInComesBackThroughTheBrowser(t *testing.T) {
	srv := gatewayWith(t)
	c, err := New(Options{Gateway: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	page := make(chan string, 1)
	tok, err := c.SignIn(t.Context(), "", false, func(address string) {
		go func() {
			u, _ := url.Parse(address)
			forged := u.Query().Get("redirect") + "?code=evil&state=guess"
			if resp, err := http.Get(forged); err == nil { // somebody else's page tries first
				if resp.StatusCode != http.StatusBadRequest {
					t.Errorf("a visit without our state: got %d, want 400", resp.StatusCode)
				}
				resp.Body.Close()
			}
			resp, err := http.Get(address)
			if err != nil {
				page <- err.Error()
				return
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			page <- string(text)
		}()
	})
	if err != nil || tok.Bearer != "spc_new" {
		t.Fatalf("got %+v %v, want the bearer", tok, err)
	}
	if got := <-page; !strings.Contains(got, "Signed in") {
		t.Errorf("the browser shows %q", got)
	}
}

func TestSigningInByCodeWaitsForThePerson(t *testing.T) {
	srv := gatewayWith(t)
	c, err := New(Options{Gateway: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	tok, err := c.SignInByCode(t.Context(), func(d apitype.DeviceStart) { told = d.UserCode })
	if err != nil || tok.Bearer != "spc_device" || told != "BCDF-GHJK" {
		t.Errorf("got %+v %v after telling %q", tok, err, told)
	}
}

// echo is a session whose program writes back what is typed, and complains on stderr, until it reads the end.
type echo struct {
	sink gateway.Sink
	sid  id.Session
	over chan gateway.Outcome
	once sync.Once
}

func (e *echo) ID() id.Session   { return e.sid }
func (e *echo) Until() time.Time { return time.Now().Add(time.Hour) }
func (e *echo) Write(p []byte) (int, error) {
	for part := range slices.Chunk(p, 32<<10) { // as a gateway shows output
		if err := e.sink.Output(1, part); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
func (e *echo) CloseInput() error {
	e.sink.Output(2, []byte("end of input"))
	e.sink.Notice("time", "1 min left")
	status := 3
	e.end(gateway.Outcome{Status: &status, Reason: "exit"})
	return nil
}
func (e *echo) Resize(int, int) error { return nil }
func (e *echo) Signal(string) error   { return nil }
func (e *echo) End(string)            { e.end(gateway.Outcome{Reason: "technician"}) }
func (e *echo) end(o gateway.Outcome) { e.once.Do(func() { e.over <- o }) }
func (e *echo) Wait() gateway.Outcome { return <-e.over }

type echoes struct{}

func (echoes) Open(_ context.Context, sid id.Session, sink gateway.Sink) (terminal.Channel, error) {
	if sid == (id.Session{9}) {
		return nil, errkind.New(errkind.Denied, "the machine refused").WithHint("Ask its owner.")
	}
	return &echo{sink: sink, sid: sid, over: make(chan gateway.Outcome, 1)}, nil
}

func (e echoes) OpenChannel(ctx context.Context, sid id.Session, _ uint32, sink gateway.Sink) (terminal.Channel, error) {
	return e.Open(ctx, sid, sink)
}

func TestATerminalCarriesEveryByteAndKeepsTheStreamsApart(t *testing.T) {
	tickets := terminal.NewTickets(nil)
	door := terminal.New(terminal.Config{Broker: echoes{}, Tickets: tickets, Who: func(r *http.Request) (terminal.Caller, error) {
		return terminal.Caller{Key: r.Header.Get("Authorization")}, nil
	}})
	mux := http.NewServeMux()
	mux.Handle(apitype.TerminalPath, door)
	srv := httptest.NewServer(mux)
	defer door.Wait()
	defer srv.Close()
	c, err := New(Options{Gateway: srv.URL, Bearer: "b"})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(sid id.Session) (*Terminal, error) {
		ticket, err := tickets.Issue("Bearer b", sid, 1)
		if err != nil {
			t.Fatal(err)
		}
		return c.Terminal(t.Context(), apitype.SessionTicket{Ticket: ticket})
	}
	term, err := connect(id.Session{1})
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("\x00\xff0123456789abcdef"), 20_000)
	go func() {
		term.Write(sent)
		term.CloseInput()
	}()
	var out, errs bytes.Buffer
	notices := ""
	end, err := term.Run(&out, &errs, func(_, text string) { notices += text })
	if err != nil || end.Status == nil || *end.Status != 3 {
		t.Fatalf("got %+v %v, want exit 3", end, err)
	}
	if !bytes.Equal(out.Bytes(), sent) || errs.String() != "end of input" || notices != "1 min left" {
		t.Errorf("got %d bytes out of %d, %q on stderr, notice %q", out.Len(), len(sent), errs.String(), notices)
	}
	if _, err := connect(id.Session{9}); errkind.KindOf(err) != errkind.Denied || !strings.Contains(err.Error(), "the machine refused") {
		t.Errorf("a refusal: got %v, want denied in the gateway's words", err)
	}
	if _, err := c.Terminal(t.Context(), apitype.SessionTicket{Ticket: "forged"}); errkind.KindOf(err) != errkind.Denied {
		t.Errorf("a forged ticket: got %v, want denied", err)
	}
}
