package terminal

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/web/apitype"
)

// typed sends n typed bytes in messages of the usual size.
func typed(t *testing.T, conn *websocket.Conn, n int) {
	t.Helper()
	for n > 0 {
		part := min(n, 32<<10)
		msg := append([]byte{apitype.StreamIn}, bytes.Repeat([]byte("x"), part)...)
		if err := conn.WriteMessage(websocket.BinaryMessage, msg); err != nil {
			t.Fatal(err)
		}
		n -= part
	}
}

// stuck connects to a session that takes no input until the test ends, with a full window of it sent.
func stuck(t *testing.T) (*websocket.Conn, *fakeSession) {
	t.Helper()
	s := newSite(t, nil)
	s.broker.full = make(chan struct{})
	t.Cleanup(func() { close(s.broker.full) })
	conn, ses := s.connect(t)
	typed(t, conn, apitype.TerminalWindow)
	return conn, ses
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not so", what)
		}
	}
}

func TestResizeSignalAndEndPassStuckInput(t *testing.T) {
	conn, ses := stuck(t)
	send(t, conn, apitype.TerminalControl{T: apitype.TermResize, Cols: 100, Rows: 30})
	eventually(t, "the session is resized", func() bool { return slices.Contains(ses.told(), "resize") })
	send(t, conn, apitype.TerminalControl{T: apitype.TermSignal, Signal: "INT"})
	eventually(t, "the signal is sent", func() bool { return slices.Contains(ses.told(), "signal INT") })
	send(t, conn, apitype.TerminalControl{T: apitype.TermEnd})
	eventually(t, "the session is ended", func() bool { return slices.Contains(ses.told(), "end: you ended the session") })
	if slices.Contains(ses.told(), "eof") {
		t.Error("an end of input was sent that nobody asked for")
	}
}

func TestClosingTheTabPassesStuckInput(t *testing.T) {
	conn, ses := stuck(t)
	conn.Close()
	eventually(t, "the session is ended", func() bool { return slices.Contains(ses.told(), "end: the terminal was closed") })
}

func TestTheEndOfInputComesAfterTheInput(t *testing.T) {
	s := newSite(t, nil)
	s.broker.full = make(chan struct{})
	conn, ses := s.connect(t)
	typed(t, conn, 100<<10)
	send(t, conn, apitype.TerminalControl{T: apitype.TermEOF})
	typed(t, conn, 1) // after the end: dropped
	send(t, conn, apitype.TerminalControl{T: apitype.TermResize, Cols: 100, Rows: 30})
	eventually(t, "the session is resized", func() bool { return slices.Contains(ses.told(), "resize") })
	if slices.Contains(ses.told(), "eof") {
		t.Fatal("the end of input passed the input")
	}
	close(s.broker.full)
	go func() { // reads the echo
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	eventually(t, "the input ends", func() bool { return slices.Contains(ses.told(), "eof") })
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if n := ses.typed.Len(); n != 100<<10 {
		t.Errorf("the session took %d bytes, want %d", n, 100<<10)
	}
}

func TestAClientThatExceedsItsWindowIsClosedWithTheReason(t *testing.T) {
	conn, ses := stuck(t)
	typed(t, conn, 1)
	eventually(t, "the session is ended", func() bool { return len(ses.told()) > 0 })
	if got := ses.told()[0]; !strings.Contains(got, "more input than its window of 256 KiB") {
		t.Errorf("the session was told %q, want the reason", got)
	}
	c := next(t, conn)
	for c.T == apitype.TermAck { // input of an ended session is discarded
		c = next(t, conn)
	}
	if c.T != apitype.TermExit {
		t.Errorf("got %+v, want the exit", c)
	}
	_, _, err := conn.ReadMessage()
	if c, ok := err.(*websocket.CloseError); !ok || c.Code != websocket.ClosePolicyViolation || !strings.Contains(c.Text, "window") {
		t.Errorf("got %v, want a close for a policy violation with the reason", err)
	}
}

func TestAClientThatExceedsItsWindowWhileTheSessionOpensStopsTheOpening(t *testing.T) {
	s := newSite(t, nil)
	s.broker.slow = true
	conn, _, err := s.dial(bearer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ticket, err := s.tickets.Issue("key of bearer", session, 1)
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, apitype.TerminalHello{Ticket: ticket})
	typed(t, conn, apitype.TerminalWindow+1)
	if c := next(t, conn); c.T != apitype.TermError || !strings.Contains(c.Text, "window") {
		t.Errorf("got %+v, want an error with the reason", c)
	}
}

// TestTheWindowIsReturned sends 4 MB with no more than the window under way.
func TestTheWindowIsReturned(t *testing.T) {
	s := newSite(t, nil)
	conn, ses := s.connect(t)
	left, sent := apitype.TerminalWindow, 0
	for sent < 4<<20 {
		for left == 0 {
			c := next(t, conn)
			if c.T != apitype.TermAck || c.Bytes < 1 {
				t.Fatalf("got %+v, want an ack", c)
			}
			left += c.Bytes
		}
		typed(t, conn, left)
		sent, left = sent+left, 0
	}
	eventually(t, "all is taken", func() bool {
		ses.mu.Lock()
		defer ses.mu.Unlock()
		return ses.typed.Len() == sent
	})
}

func TestTheWindowIsExact(t *testing.T) {
	in := newInbox()
	if !in.add(make([]byte, apitype.TerminalWindow)) {
		t.Error("a full window is refused")
	}
	if in.add([]byte{1}) || len(in.typed) != apitype.TerminalWindow {
		t.Error("a byte beyond the window is taken")
	}
	if p, last := in.take(nil); len(p) != apitype.TerminalWindow || last {
		t.Errorf("got %d bytes, last %v, want all of the window", len(p), last)
	}
	if back := in.took(returnAt - 1); back != 0 || in.add([]byte{1}) {
		t.Errorf("%d bytes returned before there are enough to return", back)
	}
	if back := in.took(1); back != returnAt {
		t.Errorf("%d bytes returned, want %d", back, returnAt)
	}
	if !in.add(make([]byte, returnAt)) || in.add([]byte{1}) {
		t.Error("the client has another window than what was returned")
	}
}

// TestAClientCanAlwaysSendAWholeMessage: what is owed is never so much that a client with nothing under way is held up.
func TestAClientCanAlwaysSendAWholeMessage(t *testing.T) {
	if apitype.TerminalWindow-returnAt < apitype.MaxTerminalMessage {
		t.Errorf("a window of %d, of which %d may be owed, has no room for a message of %d", apitype.TerminalWindow,
			returnAt, apitype.MaxTerminalMessage)
	}
}

func TestRequestsThatNobodyTakesAreBounded(t *testing.T) {
	in := newInbox()
	for i := range 1000 {
		in.resize(apitype.TerminalControl{Cols: i, Rows: 1})
		if taken := in.signal(strings.Repeat("X", 1000)); taken != (i < maxSignals) {
			t.Fatalf("signal %d: taken %v", i, taken)
		}
	}
	size, signals := in.takeRequests()
	if size == nil || size.Cols != 999 || len(signals) != maxSignals || len(signals[0]) != maxSignalName {
		t.Errorf("got %+v and %d signals, want the newest size and %d", size, len(signals), maxSignals)
	}
}
