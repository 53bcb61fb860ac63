package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/web/apitype"
)

// fakeSession echoes what is typed, and notes what it was told.
type fakeSession struct {
	id   id.Session
	sink gateway.Sink
	done chan struct{}
	full chan struct{} // takes no input until it is closed; nil: takes all

	mu    sync.Mutex // guards what follows
	did   []string
	typed bytes.Buffer
	out   gateway.Outcome
	once  sync.Once
}

func (s *fakeSession) note(what string) {
	s.mu.Lock()
	s.did = append(s.did, what)
	s.mu.Unlock()
}
func (s *fakeSession) ID() id.Session   { return s.id }
func (s *fakeSession) Until() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
func (s *fakeSession) Write(p []byte) (int, error) {
	if s.full != nil {
		select {
		case <-s.full:
		case <-s.done:
			return 0, errors.New("the session has ended")
		}
	}
	s.mu.Lock()
	s.typed.Write(p)
	s.mu.Unlock()
	if err := s.sink.Output(1, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
func (s *fakeSession) CloseInput() error { s.note("eof"); return nil }
func (s *fakeSession) Resize(c, r int) error {
	if c < 1 || c > 500 {
		return errkind.New(errkind.Usage, "a terminal has 1 to 500 columns")
	}
	s.note("resize")
	return nil
}
func (s *fakeSession) Signal(name string) error { s.note("signal " + name); return nil }
func (s *fakeSession) End(text string) {
	s.note("end: " + text)
	s.finish(gateway.Outcome{Reason: "technician"})
}
func (s *fakeSession) finish(o gateway.Outcome) {
	s.once.Do(func() { s.out = o; close(s.done) })
}
func (s *fakeSession) Wait() gateway.Outcome { <-s.done; return s.out }
func (s *fakeSession) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.did)
}

type fakeBroker struct {
	opened chan *fakeSession
	refuse error
	full   chan struct{} // as of its sessions
	slow   bool          // opening takes until the caller leaves
	left   chan struct{}
}

func (b *fakeBroker) Open(ctx context.Context, sid id.Session, sink gateway.Sink) (Channel, error) {
	if b.slow {
		<-ctx.Done()
		close(b.left)
		return nil, context.Cause(ctx)
	}
	if b.refuse != nil {
		return nil, b.refuse
	}
	s := &fakeSession{id: sid, sink: sink, done: make(chan struct{}), full: b.full}
	b.opened <- s
	return s, nil
}

func (b *fakeBroker) OpenChannel(ctx context.Context, sid id.Session, n uint32, sink gateway.Sink) (Channel, error) {
	return b.Open(ctx, sid, sink)
}

type site struct {
	url     string
	tickets *Tickets
	broker  *fakeBroker
	door    *Door
}

var session = id.Session{7}

// newSite serves a door. Whoever has a cookie is "key of cookie", a bearer "key of bearer".
func newSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	s := &site{tickets: NewTickets(nil), broker: &fakeBroker{opened: make(chan *fakeSession, 1), left: make(chan struct{})}}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	s.url = srv.URL
	cfg := Config{Broker: s.broker, Tickets: s.tickets, Origins: []string{srv.URL}, Who: func(r *http.Request) (Caller, error) {
		if r.Header.Get("Authorization") != "" {
			return Caller{Key: "key of bearer"}, nil
		}
		if _, err := r.Cookie("sallyport"); err == nil {
			return Caller{Key: "key of cookie", Cookie: true}, nil
		}
		return Caller{}, errkind.New(errkind.Signin, "you are not signed in")
	}}
	if change != nil {
		change(&cfg)
	}
	s.door = New(cfg)
	mux.Handle(apitype.TerminalPath, s.door)
	t.Cleanup(func() { srv.Close(); s.door.Wait() })
	return s
}

// bound is how long a test waits for what must come, for a busy machine.
const bound = time.Minute

func (s *site) dial(head http.Header) (*websocket.Conn, int, error) {
	d := websocket.Dialer{Subprotocols: []string{apitype.TerminalSubprotocol}, HandshakeTimeout: bound}
	conn, resp, err := d.Dial("ws"+strings.TrimPrefix(s.url, "http")+apitype.TerminalPath, head)
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	return conn, status, err
}

var (
	bearer = http.Header{"Authorization": {"Bearer x"}}
	cookie = "sallyport=x"
)

// connect dials with a bearer and redeems a fresh ticket.
func (s *site) connect(t *testing.T) (*websocket.Conn, *fakeSession) {
	t.Helper()
	conn, _, err := s.dial(bearer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ticket, err := s.tickets.Issue("key of bearer", session, 1)
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, apitype.TerminalHello{Ticket: ticket})
	if c := next(t, conn); c.T != apitype.TermReady || *c.Session != session {
		t.Fatalf("got %+v, want ready for the session", c)
	}
	return conn, <-s.broker.opened
}

func send(t *testing.T, conn *websocket.Conn, v any) {
	t.Helper()
	if err := conn.WriteJSON(v); err != nil {
		t.Fatal(err)
	}
}

// next reads the next control message.
func next(t *testing.T, conn *websocket.Conn) apitype.TerminalControl {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(bound))
	for {
		kind, msg, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if kind == websocket.BinaryMessage {
			continue
		}
		var c apitype.TerminalControl
		if err := json.Unmarshal(msg, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func TestACookieNeedsExactlyOurOrigin(t *testing.T) {
	s := newSite(t, nil)
	for name, c := range map[string]struct {
		origin []string
		want   int
	}{
		"ours":                      {[]string{s.url}, 101},
		"none":                      {nil, 403},
		"null":                      {[]string{"null"}, 403},
		"another site":              {[]string{"http://evil.example"}, 403},
		"another port":              {[]string{"http://127.0.0.1:1"}, 403},
		"another scheme":            {[]string{"https" + strings.TrimPrefix(s.url, "http")}, 403},
		"ours as the beginning":     {[]string{s.url + ".evil.example"}, 403},
		"ours after another":        {[]string{"http://evil.example", s.url}, 403},
		"in capitals, not as sent":  {[]string{strings.ToUpper(s.url)}, 403},
		"with a path, as none does": {[]string{s.url + "/"}, 403},
	} {
		head := http.Header{"Cookie": {cookie}}
		if c.origin != nil {
			head["Origin"] = c.origin
		}
		conn, status, err := s.dial(head)
		if err == nil {
			conn.Close()
		}
		if status != c.want {
			t.Errorf("Origin %s: got %d, want %d", name, status, c.want)
		}
	}
}

func TestASignInThatEndsWhileTheSocketStandsOpenOpensNothing(t *testing.T) {
	var over atomic.Bool
	s := newSite(t, func(c *Config) {
		who := c.Who
		c.Who = func(r *http.Request) (Caller, error) {
			if over.Load() {
				return Caller{}, errkind.New(errkind.Signin, "your sign-in has ended")
			}
			return who(r)
		}
	})
	conn, _, err := s.dial(bearer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ticket, err := s.tickets.Issue("key of bearer", session, 1)
	if err != nil {
		t.Fatal(err)
	}
	over.Store(true)
	send(t, conn, apitype.TerminalHello{Ticket: ticket})
	if c := next(t, conn); c.T != apitype.TermError || c.Reason != errkind.Signin.Word() {
		t.Errorf("got %+v, want that the sign-in has ended", c)
	}
}

func TestABearerNeedsNoOriginAndACookieBesideItIsIgnored(t *testing.T) {
	s := newSite(t, nil)
	conn, status, err := s.dial(http.Header{"Authorization": {"Bearer x"}, "Cookie": {cookie}})
	if err != nil {
		t.Fatalf("got %d %v, want a connection", status, err)
	}
	conn.Close()
	if _, status, _ := s.dial(http.Header{}); status != 401 {
		t.Errorf("nobody: got %d, want 401", status)
	}
	if _, status, _ := s.dial(http.Header{"Authorization": {"Bearer x"}, "Origin": {"http://evil.example"}}); status == 101 {
		t.Error("a bearer from a page of another host was let in")
	}
}

func TestATicketIsGoodOnceForItsOwnSignInAndTenSeconds(t *testing.T) {
	now := time.Now()
	tickets := NewTickets(func() time.Time { return now })
	give := func(key string) string {
		text, err := tickets.Issue(key, session, 1)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := give("me")
	if got, err := tickets.Redeem(first, "me"); err != nil || got.Session != session {
		t.Errorf("got %v %v, want the session", got, err)
	}
	if _, err := tickets.Redeem(first, "me"); errkind.KindOf(err) != errkind.Denied {
		t.Errorf("a second time: got %v, want denied", err)
	}
	stolen := give("me")
	if _, err := tickets.Redeem(stolen, "thief"); err == nil {
		t.Error("somebody else redeemed it")
	}
	if _, err := tickets.Redeem(stolen, "me"); err == nil {
		t.Error("a ticket that somebody else has shown is still good")
	}
	late := give("me")
	now = now.Add(TicketTime)
	if _, err := tickets.Redeem(late, "me"); err == nil {
		t.Error("a ticket is good after exactly ten seconds")
	}
	if _, err := tickets.Redeem("", "me"); err == nil {
		t.Error("no ticket was taken for one")
	}
	for range maxOfOne {
		give("greedy")
	}
	_, err := tickets.Issue("greedy", session, 1)
	if e, ok := errkind.Of(err); !ok || e.Kind != errkind.TooMany || e.Wait < 10*time.Second {
		t.Errorf("one too many: got %v, want too many", err)
	}
	give("me") // others are not held up
}

func TestAReplayedOrForeignTicketOpensNothing(t *testing.T) {
	s := newSite(t, nil)
	used, err := s.tickets.Issue("key of bearer", session, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.tickets.Redeem(used, "key of bearer"); err != nil {
		t.Fatal(err)
	}
	foreign, err := s.tickets.Issue("key of cookie", session, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, first := range map[string]string{"replayed": `{"ticket":"` + used + `"}`, "of another sign-in": `{"ticket":"` + foreign + `"}`, "no JSON": `hello`,
		"twice": `{"ticket":"a","Ticket":"b"}`, "unknown": `{"ticket":"a","root":true}`} {
		conn, _, err := s.dial(bearer)
		if err != nil {
			t.Fatal(err)
		}
		conn.WriteMessage(websocket.TextMessage, []byte(first))
		if c := next(t, conn); c.T != apitype.TermError || c.Reason != "denied" && c.Reason != "usage" || c.Text == "" {
			t.Errorf("%s: got %+v, want an error in words", name, c)
		}
		conn.Close()
	}
	if len(s.broker.opened) != 0 {
		t.Error("the broker was asked to open a session")
	}
}

func TestAConnectionWithoutATicketIsClosed(t *testing.T) {
	s := newSite(t, func(c *Config) { c.HelloTime = 50 * time.Millisecond })
	conn, _, err := s.dial(bearer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if c := next(t, conn); c.T != apitype.TermError {
		t.Errorf("got %+v, want an error", c)
	}
}

func TestBytesGoBothWaysAndTheExitComesLast(t *testing.T) {
	s := newSite(t, nil)
	conn, ses := s.connect(t)
	typed := []byte("\x00ls\xff\x00\r")
	conn.WriteMessage(websocket.BinaryMessage, append([]byte{apitype.StreamIn}, typed...))
	_, msg, err := conn.ReadMessage()
	if err != nil || !bytes.Equal(msg, append([]byte{apitype.StreamOut}, typed...)) {
		t.Fatalf("got %q %v, want stdout with the bytes as typed", msg, err)
	}
	send(t, conn, apitype.TerminalControl{T: apitype.TermResize, Cols: 100, Rows: 30})
	send(t, conn, apitype.TerminalControl{T: apitype.TermSignal, Signal: "INT"})
	send(t, conn, apitype.TerminalControl{T: apitype.TermEOF})
	eventually(t, "all is done", func() bool { return len(ses.told()) == 3 })
	send(t, conn, apitype.TerminalControl{T: apitype.TermResize, Cols: 9999, Rows: 30})
	if c := next(t, conn); c.T != apitype.TermNotice || c.Kind != "refused" {
		t.Errorf("an impossible size: got %+v, want a notice why", c)
	}
	got := ses.told()
	slices.Sort(got)
	if want := []string{"eof", "resize", "signal INT"}; !slices.Equal(got, want) {
		t.Errorf("the session was told %q, want %q", got, want)
	}
	ses.sink.Output(2, []byte("last words"))
	ses.sink.Notice("ended", "bye")
	status := 7
	ses.finish(gateway.Outcome{Status: &status, Reason: "exit"})
	if c := next(t, conn); c.T != apitype.TermNotice || c.Text != "bye" {
		t.Errorf("got %+v, want the notice before the exit", c)
	}
	if c := next(t, conn); c.T != apitype.TermExit || c.Status == nil || *c.Status != 7 || c.Reason != "exit" {
		t.Errorf("got %+v, want exit 7", c)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("after the exit: got %v, want a normal close", err)
	}
}

func TestClosingTheTabEndsTheSession(t *testing.T) {
	s := newSite(t, nil)
	conn, ses := s.connect(t)
	conn.Close()
	select {
	case <-ses.done:
	case <-time.After(bound):
		t.Fatal("the session lives on without its terminal")
	}
}

func TestLeavingWhileItOpensStopsTheOpening(t *testing.T) {
	s := newSite(t, nil)
	s.broker.slow = true
	conn, _, err := s.dial(bearer)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := s.tickets.Issue("key of bearer", session, 1)
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, apitype.TerminalHello{Ticket: ticket})
	conn.Close()
	select {
	case <-s.broker.left:
	case <-time.After(bound):
		t.Fatal("the opening goes on for somebody who left")
	}
}

func TestARefusalSaysWhatAndWhatToDo(t *testing.T) {
	s := newSite(t, nil)
	for _, c := range []struct {
		err  error
		want apitype.TerminalControl
	}{
		{errkind.New(errkind.Denied, "the machine refused: frozen").WithHint("Ask its owner."), apitype.TerminalControl{T: "error", Reason: "denied", Text: "the machine refused: frozen", Hint: "Ask its owner."}},
		{errors.New("disk sector 7"), apitype.TerminalControl{T: "error", Reason: "internal"}},
	} {
		s.broker.refuse = c.err
		conn, _, err := s.dial(bearer)
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := s.tickets.Issue("key of bearer", session, 1)
		if err != nil {
			t.Fatal(err)
		}
		send(t, conn, apitype.TerminalHello{Ticket: ticket})
		got := next(t, conn)
		if got.T != c.want.T || got.Reason != c.want.Reason || c.want.Text != "" && (got.Text != c.want.Text || got.Hint != c.want.Hint) || strings.Contains(got.Text, "sector") {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
		conn.Close()
	}
}

func TestAMessageThatIsTooLargeOrNoneOfOursEndsTheSession(t *testing.T) {
	for name, msg := range map[string][]byte{"too large": make([]byte, apitype.MaxTerminalMessage+1), "no stream": {}, "another stream": {apitype.StreamOut, 'x'}} {
		s := newSite(t, nil)
		conn, ses := s.connect(t)
		conn.WriteMessage(websocket.BinaryMessage, msg)
		select {
		case <-ses.done:
		case <-time.After(bound):
			t.Errorf("%s: the session goes on", name)
		}
		ses.finish(gateway.Outcome{})
	}
}

func TestAClientThatDoesNotReadHoldsTheSessionUpAndNothingIsQueued(t *testing.T) {
	s := newSite(t, func(c *Config) { c.PingEvery, c.DeadAfter = 20*time.Millisecond, 600*time.Millisecond })
	conn, ses := s.connect(t)
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	sent := make(chan int)
	go func() {
		n := 0
		for ses.sink.Output(1, chunk) == nil {
			n++
			sent <- n
		}
		close(sent)
	}()
	total := 0
	for stuck := false; !stuck; { // fill what the kernel takes
		select {
		case total = <-sent:
		case <-time.After(time.Second): // longer than DeadAfter: slow is not gone
			stuck = true
		}
	}
	select {
	case <-ses.done:
		t.Fatal("a slow client was taken for one that is gone")
	default:
	}
	ses.sink.Notice("time", "5 min left") // must not wait behind the output
	read := 0
	conn.SetReadDeadline(time.Now().Add(bound))
	for read < total { // it reads on, and everything is there
		kind, msg, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.BinaryMessage {
			read++
			if len(msg) != len(chunk)+1 {
				t.Fatalf("message %d has %d bytes, want %d", read, len(msg), len(chunk)+1)
			}
		}
		for more := true; more; {
			select {
			case _, more = <-sent:
			default:
				more = false
			}
		}
	}
	conn.Close()
	for range sent { // until the writer has noticed
	}
}

func TestAClientThatIsGoneWithoutAWordIsCutOff(t *testing.T) {
	s := newSite(t, func(c *Config) { c.PingEvery, c.DeadAfter = 20*time.Millisecond, 100*time.Millisecond })
	conn, ses := s.connect(t)
	conn.SetPingHandler(func(string) error { return nil }) // reads, and answers nothing
	go func() {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	select {
	case <-ses.done:
	case <-time.After(bound):
		t.Fatal("a client that answers no ping is kept for ever")
	}
}

func TestAnEndDoesNotWaitForAClientThatDoesNotRead(t *testing.T) {
	s := newSite(t, nil)
	_, ses := s.connect(t)
	stuck := make(chan error, 1)
	go func() {
		for {
			if err := ses.sink.Output(1, make([]byte, 32<<10)); err != nil {
				stuck <- err
				return
			}
		}
	}()
	time.Sleep(200 * time.Millisecond)
	ses.finish(gateway.Outcome{Reason: "ended by officer"})
	select {
	case <-stuck:
	case <-time.After(controlTime + bound):
		t.Fatal("the output of an ended session still waits for its client")
	}
}

// A restart drains the broker, which ends the sessions, and then waits here: what each technician is told of the end must
// have gone out by then.
func TestTheDoorWaitsUntilEveryEndWasTold(t *testing.T) {
	s := newSite(t, nil)
	s.door.Wait() // nobody is connected: at once
	conn, ses := s.connect(t)
	waited := make(chan struct{})
	go func() { s.door.Wait(); close(waited) }()
	select {
	case <-waited:
		t.Fatal("the door does not wait for a session that runs")
	case <-time.After(100 * time.Millisecond):
	}
	status := 0
	ses.finish(gateway.Outcome{Reason: "the gateway restarts", Status: &status})
	select {
	case <-waited:
	case <-time.After(bound):
		t.Fatal("the door waits for a session that has ended")
	}
	if c := next(t, conn); c.T != apitype.TermExit || c.Reason != "the gateway restarts" {
		t.Errorf("got %+v, want the exit with its reason", c)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("after the exit: got %v, want a normal close", err)
	}
}
